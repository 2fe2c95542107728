"""Declares the options of `init`, `doctor`, `plan` and `merge`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from fdabench.cli.arguments.completion import (
    complete_dataset,
    complete_folder,
    complete_model,
    complete_strategies,
)
from fdabench.cli.exit_codes import with_exit_codes
from fdabench.cli.options import (
    OUTPUT,
    DataDir,
    Format,
    OutputFormat,
    ResultsOut,
    Seeds,
    SelectedCells,
    Sets,
    SuiteFile,
)


@with_exit_codes
def init(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="File to write; it must not exist.  [default: suite.toml]",
            show_default=False,
            autocompletion=complete_folder,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--workload", metavar="DATASET", help="A data set.  [default: digits]", autocompletion=complete_dataset
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="MODEL", help="A model.  [default: fits the data set]", autocompletion=complete_model
        ),
    ] = None,
    strategies: Annotated[
        str | None,
        typer.Option(
            "--strategies",
            metavar="A,B,...",
            help="Strategies, with commas.  [default: synchronous,fedavg,fda]",
            autocompletion=complete_strategies,
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="K", min=1, help="Number of workers.  [default: 4]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="The same as FILE.  [default: suite.toml]")
    ] = None,
) -> None:
    """Write an example suite with comments.

    In a terminal and without options, the command asks. Otherwise, an option that is not given has its default. The
    default suite runs in a few seconds and downloads nothing. An existing file is not replaced.
    """
    from fdabench.cli.commands.runs.init import Answers, ask, check_path, split_names, write_suite
    from fdabench.errors import UsageError

    if file is not None and out is not None:
        raise UsageError(f"init: {file} and -o {out} are both given; give one of them")
    path = file or out or Path("suite.toml")
    check_path(path)
    answers = Answers(dataset, model, split_names(strategies or ""), workers)
    if answers == Answers() and sys.stdin.isatty() and sys.stderr.isatty():
        answers = ask(answers)
    write_suite(path, answers)


@with_exit_codes
def doctor(data_dir: DataDir = None, output_format: OutputFormat = Format.auto) -> None:
    """Check versions, devices, data and determinism.

    The command trains small cells twice and compares their numbers, which takes some seconds.
    """
    from fdabench.cli.commands.reference.doctor import print_doctor

    print_doctor(data_dir, output_format.value)


@with_exit_codes
def plan(
    suite: SuiteFile,
    out: ResultsOut = None,
    sets: Sets = None,
    seeds: Seeds = None,
    chosen: SelectedCells = None,
    data_dir: DataDir = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Plan for `run --fresh`: every cell starts at step 0.")
    ] = False,
    extrapolate: Annotated[
        str | None,
        typer.Option(
            "--extrapolate",
            metavar="workers=N,parameters=N",
            rich_help_panel="Extrapolation",
            help="Print the cost of the strategies with these numbers of workers and parameters instead.",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results",
            metavar="RESULTS",
            rich_help_panel="Extrapolation",
            help="Results with the sync rates for --extrapolate.  [default: the results of the suite]",
        ),
    ] = None,
    fleet: Annotated[
        list[str] | None,
        typer.Option(
            "--fleet",
            metavar="NAME|FILE",
            help="Also print the time on a fleet: a name of `list fleets`, or a fleet file. May be given repeatedly.",
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", rich_help_panel=OUTPUT, help="Print a row for every cell, with its id.")
    ] = False,
    output_format: OutputFormat = Format.auto,
) -> None:
    """Print what `run` would do, its bytes and its time.

    There is a row for each strategy and workload: the number of seeds, how many are done, stale (with the reason) or to
    run, and the bytes of one seed. The totals are below the table. JSON and CSV have a row for every cell.
    """
    from fdabench.cli.commands.runs.plan import PlanRequest, print_extrapolation_command, print_plan
    from fdabench.errors import UsageError

    if extrapolate is not None:
        print_extrapolation_command(
            suite, out, tuple(sets or ()), seeds, chosen, extrapolate, results, fleet or [], output_format.value
        )
    elif results is not None:
        raise UsageError(f"--results {results}: this option requires --extrapolate; -o is the results folder of a plan")
    else:
        request = PlanRequest(
            suite, out, data_dir, tuple(sets or ()), seeds, chosen, fresh, verbose, tuple(fleet or ())
        )
        print_plan(request, output_format.value)


@with_exit_codes
def merge(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Two or more results folders.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="DIR", help="New folder; required.")] = None,
) -> None:
    """Merge the results of shards, or of different seeds.

    The folders are those of `run --shard`, or of one suite with different --seeds. They are not changed.
    """
    from fdabench.cli.commands.runs.merge import merge_results

    merge_results(results, out)
