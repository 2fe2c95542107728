"""What the gate found, as rows and lines for people and as plain data for programs."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fdabench.gate.verdict import Checked, Finding, Level, Value, Verdict
from fdabench.report.text import DASH, byte_size, count, percent, plural

COLUMNS = ("class", "verdict", "cell", "seed", "metric", "before", "after", "change", "note")
RECORD = (*COLUMNS[:8], "change_low", "change_high", "note")
CLASSES = {"limit": "limits", "A": "A formula", "B": "B reproducible", "C": "C noisy"}
Row = tuple[str, ...]


def row(finding: Finding) -> Row:
    return (
        finding.kind,
        finding.verdict.value,
        finding.cell,
        DASH if finding.seed is None else str(finding.seed),
        finding.metric,
        value(finding, finding.before),
        value(finding, finding.after),
        change(finding),
        finding.note,
    )


def sentence(finding: Finding) -> str:
    """`syncs 5 -> 6 (+20.0 %): past the soft limit of 0 %`, or `max_bytes 31 000, the limit is 30 000`."""
    before, after = value(finding, finding.before), value(finding, finding.after)
    if finding.kind == "limit":
        return f"{finding.metric} {after}, the limit is {before}: {finding.note}"
    told = f" ({change(finding)})" if finding.change is not None else ""
    return f"{finding.metric} {before} -> {after}{told}{': ' * bool(finding.note)}{finding.note}"


def as_record(finding: Finding) -> dict[str, Any]:
    """The row for programs: numbers in full, changes as fractions."""
    low, high = finding.interval or (None, None)
    also = {"class": finding.kind, "change_low": low, "change_high": high}
    return {key: _finite(also[key] if key in also else getattr(finding, key)) for key in RECORD}


def value(finding: Finding, number: Value) -> str:
    """Exact where the class is: five bytes more are no rounding."""
    if number is None or (isinstance(number, float) and not math.isfinite(number)):
        return DASH
    if isinstance(number, str):
        return number
    if "accuracy" in finding.metric:
        return percent(number, 2)
    if finding.kind == "C":
        return byte_size(number)
    return count(number) if float(number).is_integer() else f"{number:.6g}"


def change(finding: Finding) -> str:
    if finding.change is None:
        return DASH
    points = finding.metric == "accuracy"
    unit, digits = ("points", 2) if points else ("%", 1)
    told = f"{signed(finding.change, digits)} {unit}"
    if finding.interval is None or finding.verdict == Verdict.unchanged:
        return told
    low, high = (signed(end, digits) for end in finding.interval)
    return f"{told} [{low}, {high}]"


def signed(fraction: float, digits: int) -> str:
    """A change too small for the digits is not shown as none; what sums leave behind is none."""
    fraction = fraction if abs(fraction) > 1e-12 else 0.0
    text = f"{100 * fraction:+.{digits}f}"
    return text if float(text) != 0 or fraction == 0 else f"{100 * fraction:+.1g}"


def summary(checked: Checked) -> list[str]:
    """What was compared, what was not, and the answer as the last line."""
    lines = [f"{CLASSES[kind]:<15} {_tally(checked, kind)}" for kind in CLASSES if checked.counts(kind)]
    lines += [level_line(level) for level in checked.levels]
    lines += [f"note: {note}" for note in checked.notes]
    lines += _some("new, not in the baseline", checked.added) + _some("MISSING", checked.missing)
    return [*lines, f"{checked.suite} against {checked.against}: {answer(checked)}"]


def answer(checked: Checked) -> str:
    """`pass`, or `fail: 3 numbers are worse`, or what was not compared."""
    if checked.missing and not checked.regressed:
        return f"{checked.word}: {plural(len(checked.missing), 'run')} missing"
    worse = len(checked.failures) + sum(level.verdict == Verdict.fail for level in checked.levels)
    unsure = sum(finding.verdict == Verdict.inconclusive for finding in checked.findings)
    if checked.regressed:
        return f"{checked.word}: {plural(worse, 'number')} changed or worse"
    better = sum(finding.verdict == Verdict.better for finding in checked.findings)
    told = [f"{number} {what}" for number, what in ((better, "better"), (unsure, "inconclusive")) if number]
    return ", ".join([checked.word, *told])


def _tally(checked: Checked, kind: str) -> str:
    counts = checked.counts(kind)
    equal = {"limit": "kept", "C": "unchanged"}.get(kind, "unchanged (exact)")
    told = [f"{counts[verdict]} {equal if verdict == Verdict.unchanged else verdict}" for verdict in Verdict]
    return ", ".join(text for text, verdict in zip(told, Verdict, strict=True) if counts[verdict])


def level_line(level: Level) -> str:
    loss = (
        f"{-100 * level.loss:+.2f} points" if level.metric == "accuracy" else f"{100 * math.expm1(level.loss):+.1f} %"
    )
    test = f"p = {level.p_value:.2g}, fails below {level.alpha:.2g}"
    return f"all {level.cells} cells   {level.metric} {loss} on average, {test}: {level.verdict}"


def _some(what: str, names: Sequence[str], most: int = 5) -> list[str]:
    more = [f"  and {len(names) - most} more"] if len(names) > most else []
    return [f"{what}: {plural(len(names), 'run')}", *(f"  {name}" for name in names[:most]), *more] if names else []


def as_data(checked: Checked) -> dict[str, Any]:
    """Everything but what is unchanged, of which there are only counts. Fractions; no NaN."""
    data = {
        "verdict": checked.word,
        "exit_code": checked.exit_code,
        "suite": checked.suite,
        "against": checked.against,
        "counts": {kind: {str(verdict): n for verdict, n in checked.counts(kind).items()} for kind in CLASSES},
        "findings": [asdict(finding) for finding in checked.shown],
        "suite_level": [asdict(level) for level in checked.levels],
        "missing": list(checked.missing),
        "added": list(checked.added),
        "notes": list(checked.notes),
        "why": list(checked.why),
    }
    return {key: _finite(entry) for key, entry in data.items()}


def _finite(entry: Any) -> Any:
    if isinstance(entry, dict):
        return {key: _finite(inner) for key, inner in entry.items()}
    if isinstance(entry, list | tuple):
        return [_finite(inner) for inner in entry]
    return None if isinstance(entry, float) and not math.isfinite(entry) else entry
