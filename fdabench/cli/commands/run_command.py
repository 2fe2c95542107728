"""Declares the options of the command `run`."""

from typing import Annotated

import typer

from fdabench.cli.exit_codes import with_exit_codes
from fdabench.cli.options import (
    CELLS,
    DISTRIBUTED,
    LIFE,
    MACHINE,
    OUTPUT,
    Chosen,
    DataDir,
    Format,
    OutputFormat,
    ResultsOut,
    Seeds,
    Sets,
    SuiteFiles,
)

SaveModel = Annotated[
    bool,
    typer.Option(
        "--save-model",
        rich_help_panel=LIFE,
        help="Write model.pt, the model of the last evaluation, into the folder of each cell that runs.",
    ),
]
NetworkInterface = Annotated[
    str | None,
    typer.Option(
        "--network-interface",
        metavar="INTERFACE",
        rich_help_panel=DISTRIBUTED,
        help="Network interface whose byte counters are read around each average.  [default: none]",
    ),
]


@with_exit_codes
def run(
    suites: SuiteFiles,
    out: ResultsOut = None,
    sets: Sets = None,
    seeds: Seeds = None,
    chosen: Chosen = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            rich_help_panel=CELLS,
            help="Run only part I of N of the cells, for job arrays.  [default: all]",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", rich_help_panel=LIFE, help="Run all cells from step 0, also those that are done.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", rich_help_panel=LIFE, help="Also run the cells that failed before.")
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", rich_help_panel=LIFE, help="Write checkpoints and stop when a cell fails.")
    ] = False,
    max_time: Annotated[
        str | None,
        typer.Option(
            "--max-time",
            metavar="TIME",
            rich_help_panel=LIFE,
            help="Write checkpoints and stop after this time, such as 30m or 1h30m.  [default: no limit]",
        ),
    ] = None,
    checkpoint_every: Annotated[
        str,
        typer.Option("--checkpoint-every", metavar="TIME", rich_help_panel=LIFE, help="Time between checkpoints."),
    ] = "60s",
    save_model: SaveModel = False,
    data_dir: DataDir = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "-j",
            "--jobs",
            metavar="N",
            min=1,
            rich_help_panel=MACHINE,
            help="Cells that run at the same time, each in its own process.  [default: one per core]",
        ),
    ] = None,
    threads: Annotated[
        int,
        typer.Option(
            "--threads",
            metavar="N",
            min=0,
            max=4096,
            rich_help_panel=MACHINE,
            help="Threads of each process; 0 divides the cores among the processes.",
        ),
    ] = 1,
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", rich_help_panel=MACHINE, help="Device: auto, cpu, cuda, cuda:1.")
    ] = "auto",
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            metavar="ENGINE",
            rich_help_panel=MACHINE,
            help="How the workers of a cell are computed: auto, sequential, vectorized or distributed.",
        ),
    ] = "auto",
    cells_per_batch: Annotated[
        int | None,
        typer.Option(
            "--cells-per-batch",
            metavar="N",
            min=1,
            rich_help_panel=MACHINE,
            help="Cells that are computed as one batch.  [default: depends on device and model]",
        ),
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            "--executor",
            metavar="NAME",
            rich_help_panel=MACHINE,
            help="Where cells run: processes (on this machine) or ray (on a Ray cluster).",
        ),
    ] = "processes",
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address",
            metavar="HOST:PORT",
            rich_help_panel=MACHINE,
            help="Address of the Ray cluster.  [default: RAY_ADDRESS, or a cluster on this machine]",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            metavar="N",
            min=1,
            rich_help_panel=DISTRIBUTED,
            help="Processes that share the workers of a cell, with --engine distributed.  [default: those of torchrun]",
        ),
    ] = None,
    reduction: Annotated[
        str,
        typer.Option(
            "--reduction",
            metavar="NAME",
            rich_help_panel=DISTRIBUTED,
            help="How processes average: ordered has the bits of the simulation; allreduce uses the backend.",
        ),
    ] = "ordered",
    timeout: Annotated[
        str,
        typer.Option(
            "--timeout",
            metavar="TIME",
            rich_help_panel=DISTRIBUTED,
            help="How long the processes of a cell wait for each other before the cell gets the state lost.",
        ),
    ] = "5m",
    network_interface: NetworkInterface = None,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", rich_help_panel=OUTPUT, help="Print only failures and the conclusion.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", rich_help_panel=OUTPUT, help="Also print all evaluations and the log.")
    ] = False,
    output_format: OutputFormat = Format.auto,
) -> None:
    """Run cells without results and print the conclusion.

    A cell that is done runs again only if its configuration or its code has changed; `fdabench plan` prints the change.
    """
    from fdabench.cli.commands.run import BackendOptions, RunOptions, SelectionOptions, run_suites
    from fdabench.cli.distributed import DistributedOptions
    from fdabench.cli.option_values import parse_duration
    from fdabench.cli.progress import Verbosity
    from fdabench.execution.preflight import ExecutionOptions

    verbosity = Verbosity.from_flags(quiet, verbose)
    checkpoint_s = parse_duration("--checkpoint-every", checkpoint_every)
    execution = ExecutionOptions(device, engine, jobs, threads, cells_per_batch, checkpoint_s, save_model)
    distributed = DistributedOptions(processes, reduction, timeout, network_interface)
    backend = BackendOptions(executor, ray_address, distributed)
    selection = SelectionOptions(chosen, shard, fresh, retry_failed, fail_fast, max_time)
    request = RunOptions(
        tuple(suites), out, data_dir, execution, backend, tuple(sets or ()), seeds, selection, verbosity, output_format
    )
    run_suites(request)
