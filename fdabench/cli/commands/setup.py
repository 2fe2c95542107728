"""Declares the options of `init`, `doctor`, `plan` and `merge`."""

from pathlib import Path
from typing import Annotated

import typer

from fdabench.cli.exit_codes import with_exit_codes
from fdabench.cli.options import (
    OUTPUT,
    Chosen,
    DataDir,
    Format,
    OutputFormat,
    ResultsOut,
    Seeds,
    Sets,
    SuiteFile,
)


@with_exit_codes
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not exist.")] = Path(
        "suite.toml"
    ),
) -> None:
    """Write a commented suite to begin with.

    It runs in a few seconds and downloads nothing. A file that exists is never replaced.
    """
    from fdabench.cli.commands.init import write_suite

    write_suite(file)


@with_exit_codes
def doctor(data_dir: DataDir = None, output_format: OutputFormat = Format.auto) -> None:
    """Check versions, devices, data and determinism.

    It trains small cells twice to see whether numbers come out the same; that takes some seconds.
    """
    from fdabench.cli.commands.doctor import print_doctor

    print_doctor(data_dir, output_format.value)


@with_exit_codes
def plan(
    suite: SuiteFile,
    out: ResultsOut = None,
    sets: Sets = None,
    seeds: Seeds = None,
    chosen: Chosen = None,
    data_dir: DataDir = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Show what `run --fresh` would do: every cell starts at step 0.")
    ] = False,
    extrapolate: Annotated[
        str | None,
        typer.Option(
            "--extrapolate",
            metavar="workers=N,parameters=N",
            rich_help_panel="Another size",
            help="Print instead what the strategies would cost with so many workers and parameters.",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results",
            metavar="RESULTS",
            rich_help_panel="Another size",
            help="With --extrapolate: results whose sync rates are taken.  [default: those of the suite]",
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", rich_help_panel=OUTPUT, help="Print a row for every cell, with its id.")
    ] = False,
    output_format: OutputFormat = Format.auto,
) -> None:
    """Say what `run` would do, with its bytes and time.

    A row for each strategy and workload has its number of seeds, which of them are done, stale (and why) or to run, and
    the bytes that each will send; totals are below. JSON and CSV have every cell.
    """
    from fdabench.cli.commands.plan import PlanRequest, print_extrapolation_command, print_plan
    from fdabench.errors import UsageError

    if extrapolate is not None:
        print_extrapolation_command(
            suite, out, tuple(sets or ()), seeds, chosen, extrapolate, results, output_format.value
        )
    elif results is not None:
        raise UsageError("--results: that is for --extrapolate; -o names the results of a plan")
    else:
        wanted = PlanRequest(suite, out, data_dir, tuple(sets or ()), seeds, chosen, fresh, verbose)
        print_plan(wanted, output_format.value)


@with_exit_codes
def merge(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Two results folders or more.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="DIR", help="The new folder; required.")] = None,
) -> None:
    """Join results of a suite's shards, or of other seeds.

    The folders are those of `run --shard`, or of one suite with different --seeds; they stay as they are.
    """
    from fdabench.cli.commands.merge import merge_results

    merge_results(results, out)
