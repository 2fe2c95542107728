"""What the gate found, as annotations of a GitHub workflow: lines that its runner reads from stdout."""

from collections.abc import Iterator

from fdabench.gate.verdict import Checked, Finding, Verdict
from fdabench.gate.words import answer, level_line, sentence

MOST = 10
"""GitHub shows ten errors, ten warnings and ten notices of a step, and drops the others."""


def annotations(checked: Checked) -> list[str]:
    """`::error title=...::...` for what fails, `::warning` for what is inconclusive, `::notice` for what is better."""
    found = [*_errors(checked), *_others(checked)]
    return [_line(level, f"fdabench: {title}", text) for level, title, text in found]


def refusal(text: str) -> str:
    """The annotation of a gate that saw nothing."""
    return _line("error", "fdabench: not compared", text)


def _errors(checked: Checked) -> Iterator[tuple[str, str, str]]:
    for finding in checked.failures[:MOST]:
        yield "error", f"{finding.metric}: {finding.verdict}", _told(finding)
    if len(checked.failures) > MOST:
        yield "error", "more", f"{len(checked.failures) - MOST} more; {answer(checked)}"
    for level in checked.levels:
        if level.verdict == Verdict.fail:
            yield "error", "all cells together", level_line(level)
    if checked.missing:
        yield "error", "not compared", f"missing: {'; '.join(checked.missing[:MOST])}"


def _others(checked: Checked) -> Iterator[tuple[str, str, str]]:
    for level, verdict in (("warning", Verdict.inconclusive), ("notice", Verdict.better)):
        found = [finding for finding in checked.shown if finding.verdict == verdict not in checked.failing]
        for finding in found[:MOST]:
            yield level, f"{finding.metric}: {finding.verdict}", _told(finding)


def _told(finding: Finding) -> str:
    return f"{finding.who}: {sentence(finding)}"


def _line(level: str, title: str, text: str) -> str:
    """With the runner's escapes, without which a message ends at its first line."""
    return f"::{level} title={_escaped(title).replace(':', '%3A').replace(',', '%2C')}::{_escaped(text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
