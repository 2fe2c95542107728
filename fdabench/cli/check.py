"""`fdabench check`: has anything become worse? The answer is the exit code: 0, 1, or 4 where nothing was compared."""

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import typer

from fdabench.cli.console import for_a_terminal, print_data, print_styled, print_table, print_text, remark, say
from fdabench.cli.findings import blocks
from fdabench.errors import NoComparisonError, ResultError, UsageError
from fdabench.gate.check import check, check_limits
from fdabench.gate.folded import rows
from fdabench.gate.github import annotations, refusal
from fdabench.gate.junit import junit
from fdabench.gate.margins import margins
from fdabench.gate.markdown import comment
from fdabench.gate.places import files_of
from fdabench.gate.reading import read
from fdabench.gate.runs import Snapshot
from fdabench.gate.snapshots import snapshot
from fdabench.gate.verdict import Checked
from fdabench.gate.words import as_data, cell_table, finding_table, head, hints, summary
from fdabench.results.load import Results, load
from fdabench.results.store import Store


@dataclass(frozen=True)
class Question:
    """What is to be compared with what, and how strictly; `form` is how the answer is printed."""

    results: Path
    baseline: Path | None
    against: Path | None
    strict: bool
    why: bool
    form: str


def answer(question: Question) -> None:
    """Print what was found and end with its exit code.

    Raises:
        UsageError: both a baseline and older results are given.
        NoComparisonError: there is nothing to compare with.
    """
    try:
        checked = _checked(question)
    except NoComparisonError as error:
        if question.form == "github":
            say(refusal(str(error)))
        raise
    _print(checked, question)
    for hint in hints(checked):
        remark(hint)
    if checked.exit_code:
        raise typer.Exit(checked.exit_code)


def _checked(question: Question) -> Checked:
    if question.baseline and question.against:
        raise UsageError("give --baseline FILE or --against RESULTS, not both")
    results = load_or_closed(question.results)
    own, gate = snapshot(results), margins(results.lock, Store(results.root).lock_path)
    before = _before(question)
    if before is None:
        found = check_limits(own, gate)
    else:
        against = (question.baseline or question.against or Path()).as_posix()
        found = check(before, snapshot(results, before.protocol), gate, own, against)
    return replace(
        found,
        strict=question.strict,
        results=question.results.as_posix(),
        baseline=question.baseline.as_posix() if question.baseline else "",
        files=files_of(results.lock),
    )


def _before(question: Question) -> Snapshot | None:
    if question.baseline:
        return read(question.baseline).snapshot
    return snapshot(load_or_closed(question.against)) if question.against else None


def load_or_closed(root: Path) -> Results:
    """
    Raises:
        ResultError: no results here.
        NoComparisonError: results that cannot be read, as of another schema.
    """
    if not Store(root).lock_path.exists():
        raise ResultError(f"{root}: no results here: there is no {Store(root).lock_path.name}")
    try:
        return load(root)
    except ResultError as error:
        raise NoComparisonError(str(error)) from error


def _print(checked: Checked, question: Question) -> None:
    if question.form == "json":
        print_data(as_data(checked))
    elif question.form == "junit":
        print_text(junit(checked, _ended(question.results)))
    elif question.form == "markdown":
        print_text(comment(checked))
    elif question.form == "github":
        _github(checked)
    elif question.form == "csv":
        print_table(finding_table(checked), "csv")
    else:
        _lines(checked, question)


def _lines(checked: Checked, question: Question) -> None:
    told, shown = head(checked), rows(checked)
    for line in [*told, *([""] if told else [])]:
        say(line)
    if shown and for_a_terminal(question.form):
        print_styled(partial(blocks, shown))
    elif shown:
        print_table(cell_table(shown), "plain")
    nothing = ["all syncs are at the same steps"] if question.baseline or question.against else []
    for line in [*((checked.why or nothing) if question.why else ()), *summary(checked)]:
        say(line)


def _github(checked: Checked) -> None:
    """Annotations and the answer to stdout; the whole to the step's summary, where the runner names a file for it."""
    for line in [*annotations(checked), *summary(checked)]:
        say(line)
    page = os.environ.get("GITHUB_STEP_SUMMARY")
    if page:
        try:
            # other steps of the job write to it as well
            with open(page, "a", encoding="utf-8") as file:
                file.write(comment(checked))
        except OSError as error:
            # the answer is the exit code, with or without a page
            remark(f"GITHUB_STEP_SUMMARY: {page}: cannot be written: {error.strerror}; the summary is left out")


def _ended(root: Path) -> str:
    """When the last cell ended, without its zone, as JUnit's schema has it."""
    ends = [record.get("ended", "") for record in load(root).records.values()]
    return max(ends, default="")[:19] or "1970-01-01T00:00:00"
