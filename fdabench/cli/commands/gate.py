"""Declares the options of the commands of the gate: `check`, and `baseline save | accept | show`."""

from pathlib import Path
from typing import Annotated

import typer

from fdabench.cli.exit_codes import with_exit_codes
from fdabench.cli.options import Format, OutputFormat, ResultsDir, Verdicts, VerdictsFormat

baselines = typer.Typer(
    help="Keep the small text file that people commit.", no_args_is_help=True, rich_markup_mode=None
)

BaselineFile = Annotated[
    Path, typer.Option("--baseline", metavar="FILE", help="The committed baseline.", show_default=False)
]


@with_exit_codes
def check(
    results: ResultsDir,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="FILE", help="The committed baseline.", show_default=False)
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="RESULTS", help="Older results instead of a baseline.", show_default=False),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Inconclusive fails, too.")] = False,
    why: Annotated[bool, typer.Option("--why", help="Name the first sync that differs.")] = False,
    output_format: VerdictsFormat = Verdicts.auto,
) -> None:
    """Say whether anything became worse; without a baseline or older results, whether the suite's limits hold.

    Exit code 0: no. 1: yes. 4: it was not compared, or not all of it.
    """
    from fdabench.cli.commands.check import CheckRequest, run_check

    run_check(CheckRequest(results, baseline, against, strict, why, output_format.value))


@baselines.command()
@with_exit_codes
def save(
    results: ResultsDir,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The file to write.")] = Path(
        "baseline.toml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace a baseline and its history.")] = False,
) -> None:
    """Write a first baseline from results."""
    from fdabench.cli.commands.baseline import save_baseline

    save_baseline(results, out, force)


@baselines.command()
@with_exit_codes
def accept(
    results: ResultsDir,
    baseline: BaselineFile,
    reason: Annotated[str, typer.Option("--reason", help="Why the new numbers are right.", show_default=False)],
) -> None:
    """Take over what differs, with a reason that stays in the file."""
    from fdabench.cli.commands.baseline import accept_results

    accept_results(results, baseline, reason)


@baselines.command("show")
@with_exit_codes
def show_(
    baseline: Annotated[Path, typer.Argument(metavar="FILE", help="A baseline.", show_default=False)],
    output_format: OutputFormat = Format.auto,
) -> None:
    """Print what was accepted, and why."""
    from fdabench.cli.commands.baseline import show_baseline

    show_baseline(baseline, output_format.value)
