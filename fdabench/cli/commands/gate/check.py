"""`fdabench check`: compares results with a baseline, with older results, or with the limits of the suite.

The exit code is 0 if nothing is worse, 1 if something is, and 4 if not everything could be compared.
"""

import os
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import typer
from rich.text import Text

from fdabench.cli.console import print_data, print_note, print_result, print_styled, print_table, print_text, uses_rich
from fdabench.errors import NotComparedError, ResultError, UsageError
from fdabench.gate.baseline.model import ResultsSummary
from fdabench.gate.baseline.read import read_baseline
from fdabench.gate.baseline.snapshot import summarize_results
from fdabench.gate.compare.check import check, check_limits
from fdabench.gate.compare.settings import read_gate_settings
from fdabench.gate.compare.verdict import CheckResult, Verdict
from fdabench.gate.output.cell_rows import CellRow, cell_rows
from fdabench.gate.output.github import annotations, not_compared_annotation
from fdabench.gate.output.junit import junit
from fdabench.gate.output.markdown import pr_comment
from fdabench.gate.output.source_files import source_files
from fdabench.gate.output.text import cell_table, finding_table, head, hints, summary, to_json
from fdabench.results.archive import has_results
from fdabench.results.folder import ResultsFolder
from fdabench.results.load import Results, load


@dataclass(frozen=True)
class CheckRequest:
    """The command line of `check`: what is compared, how strictly, and in which format the findings are printed."""

    results: Path
    baseline: Path | None
    against: Path | None
    strict: bool
    why: bool
    form: str


def run_check(request: CheckRequest) -> None:
    """Compare, print the findings and exit with the exit code of the result.

    Raises:
        UsageError: both a baseline and older results are given.
        NotComparedError: there is nothing to compare with.
        typer.Exit: the exit code is not 0.
    """
    try:
        result = _compare(request)
    except NotComparedError as error:
        if request.form == "github":
            print_result(not_compared_annotation(str(error)))
        raise
    _print(result, request)
    for hint in hints(result):
        print_note(hint)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def _compare(request: CheckRequest) -> CheckResult:
    if request.baseline and request.against:
        raise UsageError("--baseline and --against are both given; give one of them")
    results = load_for_check(request.results)
    current, gate = summarize_results(results), read_gate_settings(results.lock, ResultsFolder(results.root).lock_path)
    previous = _load_previous(request)
    if previous is None:
        result = check_limits(current, gate)
    else:
        against = (request.baseline or request.against or Path()).as_posix()
        result = check(previous, summarize_results(results, previous.protocol), gate, current, against)
    return replace(
        result,
        strict=request.strict,
        results=request.results.as_posix(),
        baseline=request.baseline.as_posix() if request.baseline else "",
        files=source_files(results.lock),
    )


def _load_previous(request: CheckRequest) -> ResultsSummary | None:
    if request.baseline:
        return read_baseline(request.baseline).snapshot
    return summarize_results(load_for_check(request.against)) if request.against else None


def load_for_check(root: Path) -> Results:
    """Load results for the gate.

    Raises:
        ResultError: there are no results in the folder.
        NotComparedError: the results cannot be read, for example because their schema is another one.
    """
    if not has_results(root):
        raise ResultError(f"{root}: no results here: there is no {ResultsFolder(root).lock_path.name}")
    try:
        return load(root)
    except ResultError as error:
        raise NotComparedError(str(error)) from error


def _print(result: CheckResult, request: CheckRequest) -> None:
    if request.form == "json":
        print_data(to_json(result))
    elif request.form == "junit":
        print_text(junit(result, _last_end_time(request.results)))
    elif request.form == "markdown":
        print_text(pr_comment(result))
    elif request.form == "github":
        _print_github(result)
    elif request.form == "csv":
        print_table(finding_table(result), "csv")
    else:
        _print_text(result, request)


def _print_text(result: CheckResult, request: CheckRequest) -> None:
    heading, rows = head(result), cell_rows(result)
    for line in [*heading, *([""] if heading else [])]:
        print_result(line)
    if rows and uses_rich(request.form):
        print_styled(partial(render_findings, rows))
    elif rows:
        print_table(cell_table(rows), "plain")
    no_difference = ["all syncs are at the same steps"] if request.baseline or request.against else []
    for line in [*((result.why or no_difference) if request.why else ()), *summary(result)]:
        print_result(line)


def _print_github(result: CheckResult) -> None:
    """Print annotations and the summary to stdout.

    The Markdown report is appended to the file that GITHUB_STEP_SUMMARY names, if it is set.
    """
    for line in [*annotations(result), *summary(result)]:
        print_result(line)
    summary_path = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary_path:
        try:
            # append: other steps of the job write to the same file
            with open(summary_path, "a", encoding="utf-8") as file:
                file.write(pr_comment(result))
        except OSError as error:
            # the exit code reports the result even if this file is missing
            print_note(
                f"GITHUB_STEP_SUMMARY: {summary_path}: cannot be written: {error.strerror}; the summary is not written"
            )


def _last_end_time(root: Path) -> str:
    """Return when the last cell ended, without a time zone, as the JUnit schema requires."""
    ends = [record.ended for record in load(root).records.values()]
    return max(ends, default="")[:19] or "1970-01-01T00:00:00"


_STYLES = {Verdict.fail: "bold red", Verdict.inconclusive: "yellow", Verdict.better: "green"}


def render_findings(rows: Sequence[CellRow], width: int) -> Iterator[Text]:
    """Yield a line with the verdict, the cell and the id of its worst run, then a line for each metric.

    A table would truncate numbers to the width of its columns.

    Args:
        rows: the cells with findings.
        width: columns of the terminal. Longer lines are wrapped between words.
    """
    for row in rows:
        line = Text(row.verdict.value, style=_STYLES.get(row.verdict, "")).append(f"  {row.cell}", style="bold")
        yield line.append(f"  {row.id}", style="dim") if row.id else line
        for fact in row.facts:
            yield from map(Text, textwrap.wrap(fact, max(20, width), initial_indent="  ", subsequent_indent="    "))
