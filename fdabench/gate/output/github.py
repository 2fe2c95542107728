"""Writes the findings of the gate as annotations of a GitHub workflow: lines that its runner reads from stdout."""

from collections.abc import Iterator

from fdabench.gate.compare.verdict import CheckResult, Verdict
from fdabench.gate.output.sentences import StrategySentence, sentences
from fdabench.gate.output.source_files import source_file
from fdabench.gate.output.text import hints, suite_test_line, verdict_line

MAX_ANNOTATIONS = 10
"""GitHub shows ten errors, ten warnings and ten notices of a step, and ignores the others."""
_LEVELS = {Verdict.fail: "error", Verdict.inconclusive: "warning", Verdict.better: "notice"}


def annotations(result: CheckResult) -> list[str]:
    """Return the annotations of a check.

    A strategy that fails gets `::error file=...,title=...::...`, one that is inconclusive `::warning`, and one that is
    better `::notice`. Further errors report that all cells together are worse, that settings changed (with the command
    that accepts them), or that something was not compared.
    """
    of_strategies = [_of_strategy(result, sentence) for sentence in sentences(result)]
    selected = [line for level in ("error", "warning", "notice") for line in _first_of_level(of_strategies, level)]
    return [*selected, *_others(result)]


def not_compared_annotation(text: str) -> str:
    """Return the annotation of a check that could not compare anything."""
    return _line("error", "fdabench: not compared", text)


def _first_of_level(of_strategies: list[tuple[str, str]], level: str) -> list[str]:
    """The annotations of a level, fewer than GitHub shows, so that those of `_others` are shown as well."""
    lines = [line for line_level, line in of_strategies if line_level == level]
    more = (
        [_line(level, "fdabench: more", f"{len(lines) - MAX_ANNOTATIONS + 3} more strategies")]
        if len(lines) > MAX_ANNOTATIONS - 3
        else []
    )
    return [*lines[: MAX_ANNOTATIONS - 3], *more]


def _of_strategy(result: CheckResult, sentence: StrategySentence) -> tuple[str, str]:
    """The level and the line of a strategy's annotation."""
    level = "error" if sentence.verdict in result.failing else _LEVELS.get(sentence.verdict, "")
    file, _, line = next((run.place for run in sentence.missing if run.place), "").partition(":")
    return level, _line(
        level,
        f"fdabench: {sentence.strategy}",
        sentence.line,
        file or source_file(result.files, sentence.strategy),
        line,
    )


def _others(result: CheckResult) -> Iterator[str]:
    for test in result.suite_wide_tests:
        if test.verdict == Verdict.fail:
            yield _line("error", "fdabench: all cells together", suite_test_line(test), result.files.get("", ""))
    if result.changed and not result.regressed:
        text = "\n".join([*(changed.text for changed in result.changed[:MAX_ANNOTATIONS]), *hints(result)])
        yield _line("error", "fdabench: settings changed", text, result.files.get("", ""))
    if result.missing:
        yield _line("error", "fdabench: not compared", verdict_line(result), result.files.get("", ""))


def _line(level: str, title: str, text: str, file: str = "", line: str = "") -> str:
    """An annotation. Its text is escaped, because the runner would end the message at the first line break."""
    place = {"file": file, "line": line if file and line.isdecimal() else "", "title": title}
    properties = ",".join(f"{key}={_property(value)}" for key, value in place.items() if value)
    return f"::{level} {properties}::{_escape(text)}"


def _property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
