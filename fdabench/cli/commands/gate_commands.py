"""Declares the options of the commands of the gate: `check`, and `baseline save | accept | show`."""

from pathlib import Path
from typing import Annotated

import typer

from fdabench.cli.exit_codes import with_exit_codes
from fdabench.cli.options import CheckFormat, CheckOutputFormat, Format, OutputFormat, ResultsDir

baselines = typer.Typer(
    help="Manage the baseline of `check`, a text file to commit.", no_args_is_help=True, rich_markup_mode=None
)

BaselinePath = Annotated[
    Path, typer.Option("--baseline", metavar="FILE", help="Baseline file to update.", show_default=False)
]


@with_exit_codes
def check(
    results: ResultsDir,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="FILE", help="Baseline to compare with.", show_default=False)
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="RESULTS", help="Older results to compare with.", show_default=False),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail also if a comparison is inconclusive.")] = False,
    why: Annotated[bool, typer.Option("--why", help="Print the first sync that differs.")] = False,
    output_format: CheckOutputFormat = CheckFormat.auto,
) -> None:
    """Compare results with a baseline or with older results, and check the limits of the suite.

    Without --baseline and --against, only the limits are checked.
    """
    from fdabench.cli.commands.gate.check import CheckRequest, run_check

    run_check(CheckRequest(results, baseline, against, strict, why, output_format.value))


@baselines.command()
@with_exit_codes
def save(
    results: ResultsDir,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="File to write.")] = Path("baseline.toml"),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing baseline and its history.")] = False,
) -> None:
    """Write a new baseline from results."""
    from fdabench.cli.commands.gate.baseline import save_baseline

    save_baseline(results, out, force)


@baselines.command()
@with_exit_codes
def accept(
    results: ResultsDir,
    baseline: BaselinePath,
    reason: Annotated[str, typer.Option("--reason", help="Reason for the new numbers.", show_default=False)],
) -> None:
    """Write new results to a baseline, and the reason to its history."""
    from fdabench.cli.commands.gate.baseline import accept_results

    accept_results(results, baseline, reason)


@baselines.command("show")
@with_exit_codes
def show_(
    baseline: Annotated[Path, typer.Argument(metavar="FILE", help="Baseline file.", show_default=False)],
    output_format: OutputFormat = Format.auto,
) -> None:
    """Print the runs of a baseline and its history."""
    from fdabench.cli.commands.gate.baseline import show_baseline

    show_baseline(baseline, output_format.value)
