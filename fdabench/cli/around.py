"""What comes before a run, and after runs in several places: `doctor`, `plan` and `merge`."""

from pathlib import Path
from typing import Annotated

import typer

from fdabench.cli.guard import guarded
from fdabench.cli.options import Chosen, DataDir, Format, Out, OutputFormat, Seeds, Sets, SuiteFile


@guarded
def doctor(data_dir: DataDir = None, output_format: OutputFormat = Format.auto) -> None:
    """Look at versions, devices, data, and whether numbers come out the same twice."""
    from fdabench.cli.doctor import print_doctor

    print_doctor(data_dir, output_format.value)


@guarded
def plan(
    suite: SuiteFile,
    out: Out = None,
    sets: Sets = None,
    seeds: Seeds = None,
    chosen: Chosen = None,
    data_dir: DataDir = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Of `run --fresh`: all cells from their beginning.")] = False,
    extrapolate: Annotated[
        str | None,
        typer.Option(
            "--extrapolate",
            metavar="workers=N,parameters=N",
            help="Say instead what the strategies would cost at another size.",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="RESULTS", help="With --extrapolate: where syncs were measured."),
    ] = None,
    output_format: OutputFormat = Format.auto,
) -> None:
    """Say what `run` would do: cells done, stale and why, to run; bytes; time."""
    from fdabench.cli.plan import Wanted, print_larger, print_plan
    from fdabench.errors import UsageError

    if extrapolate is not None:
        print_larger(suite, out, tuple(sets or ()), seeds, chosen, extrapolate, results, output_format.value)
    elif results is not None:
        raise UsageError("--results: that is for --extrapolate; -o names the results of a plan")
    else:
        print_plan(Wanted(suite, out, data_dir, tuple(sets or ()), seeds, chosen, fresh), output_format.value)


@guarded
def merge(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", show_default=False)], out: Out = None
) -> None:
    """Join the results folders of a suite's shards, or of its runs of other seeds."""
    from fdabench.cli.merge import merge_results

    merge_results(results, out)
