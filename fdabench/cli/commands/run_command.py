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
            help="Only share I of N of the cells, for arrays of jobs.  [default: all]",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", rich_help_panel=LIFE, help="Run all cells from their beginning, done or not.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", rich_help_panel=LIFE, help="Run cells again that failed before.")
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", rich_help_panel=LIFE, help="Stop, with checkpoints, when a cell fails.")
    ] = False,
    max_time: Annotated[
        str | None,
        typer.Option(
            "--max-time",
            metavar="TIME",
            rich_help_panel=LIFE,
            help="Stop, with checkpoints, after 90s, 30m, 1h30m or 2d; the exit code is 75 then.  [default: no limit]",
        ),
    ] = None,
    checkpoint_every: Annotated[
        str | None,
        typer.Option(
            "--checkpoint-every", metavar="TIME", rich_help_panel=LIFE, help="Time between checkpoints.  [default: 60s]"
        ),
    ] = None,
    data_dir: DataDir = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "-j",
            "--jobs",
            metavar="N",
            min=1,
            rich_help_panel=MACHINE,
            help="Cells that are computed at once, each in a process of its own.  [default: one per core]",
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
        str,
        typer.Option("--device", metavar="DEVICE", rich_help_panel=MACHINE, help="One of auto, cpu, cuda, cuda:1."),
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
    together: Annotated[
        int | None,
        typer.Option(
            "--cells-per-batch",
            metavar="N",
            min=1,
            rich_help_panel=MACHINE,
            help="Cells that are computed as one batch.  [default: chosen by device and model]",
        ),
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            "--executor",
            metavar="NAME",
            rich_help_panel=MACHINE,
            help="Where cells run: processes (of this machine) or ray (a cluster).",
        ),
    ] = "processes",
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address",
            metavar="HOST:PORT",
            rich_help_panel=MACHINE,
            help="Ray cluster to join.  [default: RAY_ADDRESS, or a cluster on this machine]",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            metavar="N",
            min=1,
            rich_help_panel=DISTRIBUTED,
            help="Processes that share the workers of one cell, with --engine distributed.  [default: torchrun's]",
        ),
    ] = None,
    mean: Annotated[
        str,
        typer.Option(
            "--reduction",
            metavar="NAME",
            rich_help_panel=DISTRIBUTED,
            help="How processes average: ordered gives the bits of the simulation; allreduce is what deployments use.",
        ),
    ] = "ordered",
    timeout: Annotated[
        str,
        typer.Option(
            "--timeout",
            metavar="TIME",
            rich_help_panel=DISTRIBUTED,
            help="How long processes of a cell wait for each other before the cell is lost.",
        ),
    ] = "5m",
    measure_wire: Annotated[
        str | None,
        typer.Option(
            "--network-interface",
            metavar="INTERFACE",
            rich_help_panel=DISTRIBUTED,
            help="Network interface whose byte counters are read around each average.  [default: none]",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", rich_help_panel=OUTPUT, help="Print failures and the conclusion only.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", rich_help_panel=OUTPUT, help="Print a line for every evaluation, too.")
    ] = False,
    output_format: OutputFormat = Format.auto,
) -> None:
    """Run what is missing, then print the conclusion.

    Cells that are done are skipped. A cell is run again only when its configuration or the code behind its numbers has
    changed; `fdabench plan` names what changed.
    """
    from fdabench.cli.commands.run import ExecutionOptions, RunOptions, SelectionOptions, run_suites
    from fdabench.cli.distributed import DistributedOptions
    from fdabench.cli.progress import Verbosity

    loudness = Verbosity.from_flags(quiet, verbose)
    team = DistributedOptions(processes, mean, timeout, measure_wire)
    hardware = ExecutionOptions(jobs, threads, device, engine, together, checkpoint_every, team, executor, ray_address)
    limits = SelectionOptions(chosen, shard, fresh, retry_failed, fail_fast, max_time)
    request = RunOptions(
        tuple(suites), out, data_dir, hardware, tuple(sets or ()), seeds, limits, loudness, output_format.value
    )
    run_suites(request)
