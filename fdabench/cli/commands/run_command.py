"""Declares the options of the command `run`, one type for each option, and passes their values to `run_suites`."""

from typing import Annotated

import typer

from fdabench.cli.exit_codes import with_exit_codes
from fdabench.cli.options import (
    CELLS,
    DISTRIBUTED,
    MACHINE,
    OUTPUT,
    STOP_AND_RESUME,
    DataDir,
    Format,
    OutputFormat,
    ResultsOut,
    Seeds,
    SelectedCells,
    Sets,
    SuiteFiles,
)

Shard = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        rich_help_panel=CELLS,
        help="Run only part I of N of the cells, for job arrays.  [default: all]",
    ),
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh", rich_help_panel=STOP_AND_RESUME, help="Run all cells from step 0, also those that are done."
    ),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", rich_help_panel=STOP_AND_RESUME, help="Also run the cells that failed before.")
]
FailFast = Annotated[
    bool,
    typer.Option("--fail-fast", rich_help_panel=STOP_AND_RESUME, help="Write checkpoints and stop when a cell fails."),
]
MaxTime = Annotated[
    str | None,
    typer.Option(
        "--max-time",
        metavar="TIME",
        rich_help_panel=STOP_AND_RESUME,
        help="Write checkpoints and stop after this time, such as 30m or 1h30m.  [default: no limit]",
    ),
]
CheckpointEvery = Annotated[
    str,
    typer.Option(
        "--checkpoint-every", metavar="TIME", rich_help_panel=STOP_AND_RESUME, help="Time between checkpoints."
    ),
]
SaveModel = Annotated[
    bool,
    typer.Option(
        "--save-model",
        rich_help_panel=STOP_AND_RESUME,
        help="Write model.pt, the model of the last evaluation, into the folder of each cell that runs.",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "-j",
        "--jobs",
        metavar="N",
        min=1,
        rich_help_panel=MACHINE,
        help="Cells that run at the same time, each in its own process.  [default: one per core]",
    ),
]
Threads = Annotated[
    int,
    typer.Option(
        "--threads",
        metavar="N",
        min=0,
        max=4096,
        rich_help_panel=MACHINE,
        help="Threads of each process; 0 divides the cores among the processes.",
    ),
]
Device = Annotated[
    str, typer.Option("--device", metavar="NAME", rich_help_panel=MACHINE, help="Device: auto, cpu, cuda, cuda:1.")
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="ENGINE",
        rich_help_panel=MACHINE,
        help="How the workers of a cell are computed: auto, sequential, vectorized or distributed.",
    ),
]
CellsPerBatch = Annotated[
    int | None,
    typer.Option(
        "--cells-per-batch",
        metavar="N",
        min=1,
        rich_help_panel=MACHINE,
        help="Cells that are computed as one batch.  [default: depends on device and model]",
    ),
]
Executor = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="NAME",
        rich_help_panel=MACHINE,
        help="Where cells run: processes (on this machine) or ray (on a Ray cluster).",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="HOST:PORT",
        rich_help_panel=MACHINE,
        help="Address of the Ray cluster.  [default: RAY_ADDRESS, or a cluster on this machine]",
    ),
]
Processes = Annotated[
    int | None,
    typer.Option(
        "--processes",
        metavar="N",
        min=1,
        rich_help_panel=DISTRIBUTED,
        help="Processes that share the workers of a cell, with --engine distributed.  [default: those of torchrun]",
    ),
]
ReductionOption = Annotated[
    str,
    typer.Option(
        "--reduction",
        metavar="NAME",
        rich_help_panel=DISTRIBUTED,
        help="How processes average: ordered gives the bits of the simulation; allreduce is that of the backend.",
    ),
]
Timeout = Annotated[
    str,
    typer.Option(
        "--timeout",
        metavar="TIME",
        rich_help_panel=DISTRIBUTED,
        help="How long the processes of a cell wait for each other before the cell gets the state lost.",
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
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", rich_help_panel=OUTPUT, help="Print only failures and the conclusion.")
]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", rich_help_panel=OUTPUT, help="Also print all evaluations and the log.")
]
LogTo = Annotated[
    str | None,
    typer.Option(
        "--log-to",
        metavar="TOOL",
        rich_help_panel=OUTPUT,
        help="Write evaluations while cells run, to RESULTS/live: tensorboard, mlflow or csv.  [default: none]",
    ),
]


@with_exit_codes
def run(
    suites: SuiteFiles,
    out: ResultsOut = None,
    sets: Sets = None,
    seeds: Seeds = None,
    chosen: SelectedCells = None,
    shard: Shard = None,
    fresh: Fresh = False,
    retry_failed: RetryFailed = False,
    fail_fast: FailFast = False,
    max_time: MaxTime = None,
    checkpoint_every: CheckpointEvery = "60s",
    save_model: SaveModel = False,
    data_dir: DataDir = None,
    jobs: Jobs = None,
    threads: Threads = 1,
    device: Device = "auto",
    engine: Engine = "auto",
    cells_per_batch: CellsPerBatch = None,
    executor: Executor = "processes",
    ray_address: RayAddress = None,
    processes: Processes = None,
    reduction: ReductionOption = "ordered",
    timeout: Timeout = "5m",
    network_interface: NetworkInterface = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_to: LogTo = None,
    output_format: OutputFormat = Format.auto,
) -> None:
    """Run cells without results and print the conclusion.

    A cell that is done runs again only if its configuration or its code has changed; `fdabench plan` prints the change.
    """
    from fdabench.cli.commands.runs.run import BackendOptions, RunOptions, SelectionOptions, run_suites
    from fdabench.cli.display.progress import Verbosity
    from fdabench.cli.distributed import DistributedOptions
    from fdabench.cli.option_values import parse_duration
    from fdabench.execution.preflight import ExecutionOptions

    verbosity = Verbosity.from_flags(quiet, verbose)
    checkpoint_s = parse_duration("--checkpoint-every", checkpoint_every)
    execution = ExecutionOptions(device, engine, jobs, threads, cells_per_batch, checkpoint_s, save_model)
    distributed = DistributedOptions(processes, reduction, timeout, network_interface)
    backend = BackendOptions(executor, ray_address, distributed)
    selection = SelectionOptions(chosen, shard, fresh, retry_failed, fail_fast, max_time)
    request = RunOptions(
        tuple(suites),
        out,
        data_dir,
        execution,
        backend,
        tuple(sets or ()),
        seeds,
        selection,
        verbosity,
        log_to,
        output_format,
    )
    run_suites(request)
