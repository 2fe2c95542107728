"""`fdabench check`: has anything become worse? The answer is the exit code: 0, 1, or 4 where nothing was compared."""

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import typer

from fdabench.cli.console import print_data, print_note, print_result, print_styled, print_table, print_text, uses_rich
from fdabench.cli.finding_blocks import render_findings
from fdabench.errors import NotComparedError, ResultError, UsageError
from fdabench.gate.baseline.model import ResultsSummary
from fdabench.gate.baseline.read import read_baseline
from fdabench.gate.baseline.snapshot import summarize_results
from fdabench.gate.compare.check import check, check_limits
from fdabench.gate.compare.settings import read_gate_settings
from fdabench.gate.compare.verdict import CheckResult
from fdabench.gate.output.cell_rows import cell_rows
from fdabench.gate.output.github import annotations, not_compared_annotation
from fdabench.gate.output.junit import junit
from fdabench.gate.output.markdown import pr_comment
from fdabench.gate.output.source_files import source_files
from fdabench.gate.output.text import cell_table, finding_table, head, hints, summary, to_json
from fdabench.results.folder import ResultsFolder
from fdabench.results.load import Results, load


@dataclass(frozen=True)
class CheckRequest:
    """What is to be compared with what, and how strictly; `form` is how the answer is printed."""

    results: Path
    baseline: Path | None
    against: Path | None
    strict: bool
    why: bool
    form: str


def run_check(question: CheckRequest) -> None:
    """Print what was found and end with its exit code.

    Raises:
        UsageError: both a baseline and older results are given.
        NotComparedError: there is nothing to compare with.
    """
    try:
        checked = _checked(question)
    except NotComparedError as error:
        if question.form == "github":
            print_result(not_compared_annotation(str(error)))
        raise
    _print(checked, question)
    for hint in hints(checked):
        print_note(hint)
    if checked.exit_code:
        raise typer.Exit(checked.exit_code)


def _checked(question: CheckRequest) -> CheckResult:
    if question.baseline and question.against:
        raise UsageError("give --baseline FILE or --against RESULTS, not both")
    results = load_for_check(question.results)
    own, gate = summarize_results(results), read_gate_settings(results.lock, ResultsFolder(results.root).lock_path)
    before = _before(question)
    if before is None:
        found = check_limits(own, gate)
    else:
        against = (question.baseline or question.against or Path()).as_posix()
        found = check(before, summarize_results(results, before.protocol), gate, own, against)
    return replace(
        found,
        strict=question.strict,
        results=question.results.as_posix(),
        baseline=question.baseline.as_posix() if question.baseline else "",
        files=source_files(results.lock),
    )


def _before(question: CheckRequest) -> ResultsSummary | None:
    if question.baseline:
        return read_baseline(question.baseline).snapshot
    return summarize_results(load_for_check(question.against)) if question.against else None


def load_for_check(root: Path) -> Results:
    """
    Raises:
        ResultError: no results here.
        NotComparedError: results that cannot be read, as of another schema.
    """
    if not ResultsFolder(root).lock_path.exists():
        raise ResultError(f"{root}: no results here: there is no {ResultsFolder(root).lock_path.name}")
    try:
        return load(root)
    except ResultError as error:
        raise NotComparedError(str(error)) from error


def _print(checked: CheckResult, question: CheckRequest) -> None:
    if question.form == "json":
        print_data(to_json(checked))
    elif question.form == "junit":
        print_text(junit(checked, _ended(question.results)))
    elif question.form == "markdown":
        print_text(pr_comment(checked))
    elif question.form == "github":
        _github(checked)
    elif question.form == "csv":
        print_table(finding_table(checked), "csv")
    else:
        _lines(checked, question)


def _lines(checked: CheckResult, question: CheckRequest) -> None:
    told, shown = head(checked), cell_rows(checked)
    for line in [*told, *([""] if told else [])]:
        print_result(line)
    if shown and uses_rich(question.form):
        print_styled(partial(render_findings, shown))
    elif shown:
        print_table(cell_table(shown), "plain")
    nothing = ["all syncs are at the same steps"] if question.baseline or question.against else []
    for line in [*((checked.why or nothing) if question.why else ()), *summary(checked)]:
        print_result(line)


def _github(checked: CheckResult) -> None:
    """Annotations and the answer to stdout; the whole to the step's summary, where the runner names a file for it."""
    for line in [*annotations(checked), *summary(checked)]:
        print_result(line)
    page = os.environ.get("GITHUB_STEP_SUMMARY")
    if page:
        try:
            # other steps of the job write to it as well
            with open(page, "a", encoding="utf-8") as file:
                file.write(pr_comment(checked))
        except OSError as error:
            # the answer is the exit code, with or without a page
            print_note(f"GITHUB_STEP_SUMMARY: {page}: cannot be written: {error.strerror}; the summary is left out")


def _ended(root: Path) -> str:
    """When the last cell ended, without its zone, as JUnit's schema has it."""
    ends = [record.ended for record in load(root).records.values()]
    return max(ends, default="")[:19] or "1970-01-01T00:00:00"
