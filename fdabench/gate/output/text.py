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


def cell_table(rows: Sequence[CellRow]) -> Table:
    """Return a table with one row for each cell with a finding that is not `unchanged`."""
    records = [
        {"verdict": row.verdict.value, "cell": row.cell, "run": row.id, "what changed": "; ".join(row.facts)}
        for row in rows
    ]
    return Table(records, [column(key) for key in ("verdict", "cell", "run", "what changed")])


def finding_table(result: CheckResult) -> Table:
    """Return a table for programs, with one row for each finding that is not `unchanged`."""
    return Table([to_record(result, finding) for finding in result.changed_findings], [column(key) for key in _RECORD])


def head(result: CheckResult) -> list[str]:
    """Return a sentence for each strategy that changed, then the changed settings and the unchanged strategies."""
    rest = unchanged(result)
    lines = [sentence.line for sentence in sentences(result)]
    lines += [changed.text for changed in result.changed]
    return lines + ([rest] if rest and lines else [])


def accept_command(results: str, baseline: str) -> str:
    """Return the command that accepts the results into the baseline."""
    return shlex.join(["fdabench", "baseline", "accept", results, "--baseline", baseline]) + ' --reason "..."'


def show_command(results: str, run: str) -> str:
    """Return the command that prints a run, including its error."""
    return shlex.join(["fdabench", "show", results, run])


def hints(result: CheckResult) -> list[str]:
    """Return the next steps: the command that shows the worst run, and the command that accepts the results.

    The second is omitted if it does not help: a limit is changed in the suite, and a missing result has to be computed.
    """
    run_ids = [run.id for run in result.missing if run.id and run.error] or [
        row.id for row in cell_rows(result) if row.id and row.verdict in result.failing
    ]
    steps = [f"inspect: {show_command(result.results, run_ids[0])}"] if run_ids and result.results else []
    verdicts = {finding.verdict for finding in result.changed_findings if finding.kind != "limit"}
    worse = bool(verdicts & set(result.failing)) or any(
        test.verdict == Verdict.fail for test in result.suite_wide_tests
    )
    if result.baseline and not result.missing and (worse or result.changed or Verdict.better in verdicts):
        purpose = ACCEPT if worse or result.changed else "to keep the improvement"
        steps.append(f"{purpose}: {accept_command(result.results, result.baseline)}")
    return steps


def to_record(result: CheckResult, finding: Finding) -> dict[str, object]:
    """Return a finding for programs: unrounded numbers, changes as fractions, and the id of its run."""
    low, high = finding.interval or (None, None)
    derived = {"class": finding.kind, "change_low": low, "change_high": high, "id": _id(result, finding)}
    return {key: json_value(derived[key] if key in derived else getattr(finding, key)) for key in _RECORD}


def _id(result: CheckResult, finding: Finding) -> str | None:
    return None if finding.seed is None else result.ids.get((finding.cell, finding.seed))


def summary(result: CheckResult) -> list[str]:
    """Return lines that list what was compared and what was not; the last line is the verdict."""
    lines = [f"{CLASSES[kind]:<15} {_count_verdicts(result, kind)}" for kind in CLASSES if result.counts(kind)]
    lines += [suite_test_line(test) for test in result.suite_wide_tests]
    lines += [f"note: {note}" for note in result.notes]
    missing = [f"{format_metric(run.cell)}{run.name.removeprefix(run.cell)} ({run.reason})" for run in result.missing]
    lines += _first_few("new, not in the baseline", [without_hash(name) for name in result.added])
    lines += _first_few("MISSING", missing)
    return [*lines, f"{result.suite} against {result.against}: {verdict_line(result)}"]


def without_hash(name: str) -> str:
    """Return the name of a cell or a run without its hash.

    >>> without_hash("fda linear theta=1 | iid #3fa253 s0")
    'fda linear theta=1 | iid s0'
    """
    cell, _, rest = name.partition(" #")
    return f"{cell} {rest.partition(' ')[2]}".rstrip()


def verdict_line(result: CheckResult) -> str:
    """Return the verdict in one line, such as `18 runs compared: pass; 12 changed settings, not judged`.

    It names the strategies that failed and the number of missing runs.
    """
    compared = f"{plural(len(result.ids), 'run')} {'checked' if result.against == OWN_LIMITS else 'compared'}"
    parts = [f"{compared}: {_strategy_verdicts(result)}" if result.ids or result.regressed else "nothing to compare"]
    changed = sum(len(changed_runs.pairs) for changed_runs in result.changed)
    parts += [f"{changed} changed settings, not judged"] if changed else []
    parts += [f"{len(result.missing)} missing"] if result.missing else []
    return "; ".join(parts)


def _strategy_verdicts(result: CheckResult) -> str:
    """The verdict about the runs that were compared."""
    if result.regressed:
        failed = sorted({sentence.strategy for sentence in sentences(result) if sentence.verdict in result.failing})
        worse = sum(row.verdict in result.failing for row in cell_rows(result))
        location = f": {plural(worse, 'cell')} of {', '.join(failed)}" if worse and len(failed) <= 3 else ""
        return f"fail{location}" if worse else "fail: all cells together"
    better, inconclusive = (
        sum(finding.verdict == verdict for finding in result.findings)
        for verdict in (Verdict.better, Verdict.inconclusive)
    )
    counts = [f"{number} {word}" for number, word in ((better, "better"), (inconclusive, "inconclusive")) if number]
    return ", ".join(["pass", *counts])


def _count_verdicts(result: CheckResult, kind: str) -> str:
    counts = result.counts(kind)
    equal = {"limit": "kept", "C": "unchanged"}.get(kind, "unchanged (exact)")
    texts = [f"{counts[verdict]} {equal if verdict == Verdict.unchanged else verdict}" for verdict in Verdict]
    return ", ".join(text for text, verdict in zip(texts, Verdict, strict=True) if counts[verdict])


def suite_test_line(test: SuiteWideTest) -> str:
    """Return the line of a test over all cells.

    An example is `all 6 cells together: accuracy -0.20 points on average, p = 0.004, fails below 0.01: fail`.
    """
    quality, cost = METRICS.get(test.metric), format_signed_percent(math.expm1(test.loss), 1)
    change = 0.0 - test.loss if quality and quality.higher_is_better else test.loss
    loss = quality_change_text(test.metric, change) if quality else f"{cost} %"
    p_value = f"p = {test.p_value:.2g}, fails below {test.alpha:.2g}"
    return f"all {test.cells} cells together: {metric_name(test.metric)} {loss} on average, {p_value}: {test.verdict}"


def _first_few(title: str, names: Sequence[str], most: int = 5) -> list[str]:
    lines = [f"  {name}" for name in names]
    return [f"{title}: {plural(len(names), 'run')}", *truncate_list(lines, most, "  and {} more")] if names else []


def to_json(result: CheckResult) -> dict[str, object]:
    """Return the result as data for JSON: unrounded numbers, changes as fractions, no NaN.

    Findings that are `unchanged` are only counted.
    """
    data = {
        "verdict": result.status,
        "exit_code": result.exit_code,
        "suite": result.suite,
        "against": result.against,
        "compared": len(result.ids),
        "sentences": head(result),
        "counts": {kind: {str(verdict): n for verdict, n in result.counts(kind).items()} for kind in CLASSES},
        "findings": [{**asdict(finding), "id": _id(result, finding)} for finding in result.changed_findings],
        "changed": [_changed(changed) for changed in result.changed],
        "suite_level": [asdict(test) for test in result.suite_wide_tests],
        "missing": [run._asdict() for run in result.missing],
        "added": list(result.added),
        "notes": list(result.notes),
        "why": list(result.why),
        "hints": hints(result),
    }
    return {key: json_value(entry) for key, entry in data.items()}


def _changed(changed: ChangedRuns) -> dict[str, object]:
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
        for pair in changed.pairs
    ]
    settings = [setting._asdict() for setting in changed.settings]
    return {"strategy": changed.strategy, "settings": settings, "accuracy_change": changed.accuracy, "runs": runs}
