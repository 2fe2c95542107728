"""Formats the findings of the gate as lines for the terminal and as data for programs."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import asdict

from fdabench.formatting import json_value, plural, truncate_list
from fdabench.gate.compare.changed_settings import ChangedRuns
from fdabench.gate.compare.verdict import OWN_LIMITS, CheckResult, Finding, SuiteWideTest, Verdict
from fdabench.gate.output.cell_rows import CellRow, cell_rows
from fdabench.gate.output.sentences import sentences, unchanged
from fdabench.gate.output.units import format_metric, format_signed_percent, metric_name, quality_change_text
from fdabench.metrics import METRICS
from fdabench.tables import Table, column

_NUMBERS = ("change", "change_low", "change_high")
_RECORD = ("class", "verdict", "cell", "seed", "id", "metric", "before", "after", *_NUMBERS, "note")
CLASSES = {"limit": "limits", "A": "A formula", "B": "B reproducible", "C": "C noisy"}
ACCEPT = "if this is intended"


def cell_table(shown: Sequence[CellRow]) -> Table:
    """Return a table with one row for each cell with a finding that is not `unchanged`."""
    records = [
        {"verdict": row.verdict.value, "cell": row.cell, "run": row.id, "what changed": "; ".join(row.facts)}
        for row in shown
    ]
    return Table(records, [column(key) for key in ("verdict", "cell", "run", "what changed")])


def finding_table(checked: CheckResult) -> Table:
    """Return a table for programs, with one row for each finding that is not `unchanged`."""
    return Table(
        [to_record(checked, finding) for finding in checked.changed_findings], [column(key) for key in _RECORD]
    )


def head(checked: CheckResult) -> list[str]:
    """Return a sentence for each strategy that changed, then the changed settings and the unchanged strategies."""
    rest = unchanged(checked)
    lines = [sentence.line for sentence in sentences(checked)]
    lines += [each.text for each in checked.changed]
    return lines + ([rest] if rest and lines else [])


def accept_command(results: str, baseline: str) -> str:
    """Return the command that accepts the results into the baseline."""
    return shlex.join(["fdabench", "baseline", "accept", results, "--baseline", baseline]) + ' --reason "..."'


def show_command(results: str, run: str) -> str:
    """Return the command that prints a run, including its error."""
    return shlex.join(["fdabench", "show", results, run])


def hints(checked: CheckResult) -> list[str]:
    """Return the next steps: the command that shows the worst run, and the command that accepts the results.

    The second is omitted if it does not help: a limit is changed in the suite, and a missing result has to be computed.
    """
    shown = [run.id for run in checked.missing if run.id and run.error] or [
        row.id for row in cell_rows(checked) if row.id and row.verdict in checked.failing
    ]
    steps = [f"inspect: {show_command(checked.results, shown[0])}"] if shown and checked.results else []
    moved = {finding.verdict for finding in checked.changed_findings if finding.kind != "limit"}
    worse = bool(moved & set(checked.failing)) or any(
        level.verdict == Verdict.fail for level in checked.suite_wide_tests
    )
    if checked.baseline and not checked.missing and (worse or checked.changed or Verdict.better in moved):
        why = ACCEPT if worse or checked.changed else "to keep the improvement"
        steps.append(f"{why}: {accept_command(checked.results, checked.baseline)}")
    return steps


def to_record(checked: CheckResult, finding: Finding) -> dict[str, object]:
    """Return a finding for programs: unrounded numbers, changes as fractions, and the id of its run."""
    low, high = finding.interval or (None, None)
    also = {"class": finding.kind, "change_low": low, "change_high": high, "id": _id(checked, finding)}
    return {key: json_value(also[key] if key in also else getattr(finding, key)) for key in _RECORD}


def _id(checked: CheckResult, finding: Finding) -> str | None:
    return None if finding.seed is None else checked.ids.get((finding.cell, finding.seed))


def summary(checked: CheckResult) -> list[str]:
    """Return lines that list what was compared and what was not; the last line is the verdict."""
    lines = [f"{CLASSES[kind]:<15} {_count_verdicts(checked, kind)}" for kind in CLASSES if checked.counts(kind)]
    lines += [suite_test_line(level) for level in checked.suite_wide_tests]
    lines += [f"note: {note}" for note in checked.notes]
    missing = [f"{format_metric(run.cell)}{run.name.removeprefix(run.cell)} ({run.reason})" for run in checked.missing]
    lines += _first_few("new, not in the baseline", [without_hash(name) for name in checked.added])
    lines += _first_few("MISSING", missing)
    return [*lines, f"{checked.suite} against {checked.against}: {verdict_line(checked)}"]


def without_hash(who: str) -> str:
    """Return the name of a cell or a run without its hash.

    >>> without_hash("fda linear theta=1 | iid #3fa253 s0")
    'fda linear theta=1 | iid s0'
    """
    cell, _, rest = who.partition(" #")
    return f"{cell} {rest.partition(' ')[2]}".rstrip()


def verdict_line(checked: CheckResult) -> str:
    """Return the verdict in one line, such as `18 runs compared: pass; 12 changed settings, not judged`.

    It names the strategies that failed and the number of missing runs.
    """
    compared = f"{plural(len(checked.ids), 'run')} {'checked' if checked.against == OWN_LIMITS else 'compared'}"
    parts = [f"{compared}: {_judged(checked)}" if checked.ids or checked.regressed else "nothing to compare"]
    changed = sum(len(each.pairs) for each in checked.changed)
    parts += [f"{changed} changed settings, not judged"] if changed else []
    parts += [f"{len(checked.missing)} missing"] if checked.missing else []
    return "; ".join(parts)


def _judged(checked: CheckResult) -> str:
    """The verdict about the runs that were compared."""
    if checked.regressed:
        failed = sorted({sentence.strategy for sentence in sentences(checked) if sentence.verdict in checked.failing})
        worse = sum(row.verdict in checked.failing for row in cell_rows(checked))
        where = f": {plural(worse, 'cell')} of {', '.join(failed)}" if worse and len(failed) <= 3 else ""
        return f"fail{where}" if worse else "fail: all cells together"
    better, inconclusive = (
        sum(finding.verdict == verdict for finding in checked.findings)
        for verdict in (Verdict.better, Verdict.inconclusive)
    )
    counts = [f"{number} {what}" for number, what in ((better, "better"), (inconclusive, "inconclusive")) if number]
    return ", ".join(["pass", *counts])


def _count_verdicts(checked: CheckResult, kind: str) -> str:
    counts = checked.counts(kind)
    equal = {"limit": "kept", "C": "unchanged"}.get(kind, "unchanged (exact)")
    texts = [f"{counts[verdict]} {equal if verdict == Verdict.unchanged else verdict}" for verdict in Verdict]
    return ", ".join(text for text, verdict in zip(texts, Verdict, strict=True) if counts[verdict])


def suite_test_line(level: SuiteWideTest) -> str:
    """Return the line of a test over all cells.

    An example is `all 6 cells together: accuracy -0.20 points on average, p = 0.004, fails below 0.01: fail`.
    """
    quality, cost = METRICS.get(level.metric), format_signed_percent(math.expm1(level.loss), 1)
    change = 0.0 - level.loss if quality and quality.higher_is_better else level.loss
    loss = quality_change_text(level.metric, change) if quality else f"{cost} %"
    test = f"p = {level.p_value:.2g}, fails below {level.alpha:.2g}"
    return f"all {level.cells} cells together: {metric_name(level.metric)} {loss} on average, {test}: {level.verdict}"


def _first_few(what: str, names: Sequence[str], most: int = 5) -> list[str]:
    lines = [f"  {name}" for name in names]
    return [f"{what}: {plural(len(names), 'run')}", *truncate_list(lines, most, "  and {} more")] if names else []


def to_json(checked: CheckResult) -> dict[str, object]:
    """Return the result as data for JSON: unrounded numbers, changes as fractions, no NaN.

    Findings that are `unchanged` are only counted.
    """
    data = {
        "verdict": checked.status,
        "exit_code": checked.exit_code,
        "suite": checked.suite,
        "against": checked.against,
        "compared": len(checked.ids),
        "sentences": head(checked),
        "counts": {kind: {str(verdict): n for verdict, n in checked.counts(kind).items()} for kind in CLASSES},
        "findings": [{**asdict(finding), "id": _id(checked, finding)} for finding in checked.changed_findings],
        "changed": [_changed(each) for each in checked.changed],
        "suite_level": [asdict(level) for level in checked.suite_wide_tests],
        "missing": [run._asdict() for run in checked.missing],
        "added": list(checked.added),
        "notes": list(checked.notes),
        "why": list(checked.why),
        "hints": hints(checked),
    }
    return {key: json_value(entry) for key, entry in data.items()}


def _changed(each: ChangedRuns) -> dict[str, object]:
    runs = [
        {
            "seed": pair.after.seed,
            "id_before": pair.before.id,
            "id": pair.after.id,
            "bytes_before": pair.before.bytes_total,
            "bytes": pair.after.bytes_total,
            "accuracy_before": pair.before.accuracy,
            "accuracy": pair.after.accuracy,
        }
        for pair in each.pairs
    ]
    settings = [setting._asdict() for setting in each.settings]
    return {"strategy": each.strategy, "settings": settings, "accuracy_change": each.accuracy, "runs": runs}
