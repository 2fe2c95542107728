"""Groups the findings of the gate by cell, because one cause usually changes several metrics of a cell."""

from collections.abc import Sequence
from dataclasses import dataclass

from fdabench.formatting import format_count
from fdabench.gate.compare.exact import MISSED
from fdabench.gate.compare.verdict import CheckResult, Finding, Verdict
from fdabench.gate.output.units import (
    format_metric,
    is_bytes,
    metric_name,
    quality_change_text,
    sizes,
    span,
    target_name,
)
from fdabench.metrics import METRICS

_PARTS = ("bytes_model", "bytes_state", "bytes_optimizer")


@dataclass(frozen=True)
class CellRow:
    """A cell with a finding that is not `unchanged`.

    `facts` has one text for each metric, over all seeds. `id` is the run with the worst finding, for `fdabench show`.
    """

    verdict: Verdict
    cell: str
    id: str
    facts: tuple[str, ...]
    findings: tuple[Finding, ...]


def cell_rows(result: CheckResult) -> list[CellRow]:
    """Return a row for each cell with a finding that is not `unchanged`, the worst first."""
    cells: dict[str, list[Finding]] = {}
    for finding in result.changed_findings:
        cells.setdefault(finding.cell, []).append(finding)
    return [_row(result, cell, findings) for cell, findings in cells.items()]


def _row(result: CheckResult, cell: str, findings: Sequence[Finding]) -> CellRow:
    of_cell = {seed: key for (name, seed), key in result.ids.items() if name == cell}
    seeds = [finding.seed for finding in findings if finding.seed is not None] or sorted(of_cell)
    run_id = of_cell.get(seeds[0], "") if seeds else ""
    return CellRow(
        findings[0].verdict, format_metric(cell), run_id, tuple(facts(findings, len(of_cell))), tuple(findings)
    )


def facts(findings: Sequence[Finding], runs: int) -> list[str]:
    """Return one text for each metric, costs first. The parts of a total that is shown are omitted.

    Args:
        findings: the findings of a cell, or of all cells of a strategy, that are not `unchanged`.
        runs: how many runs of the cell or the strategy were compared.
    """
    metrics: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=_order):
        metrics.setdefault(finding.metric, []).append(finding)
    implied_by = {"sync_steps": ("syncs",), **dict.fromkeys(_PARTS, ("bytes_total",))}
    own = {
        metric: findings_of_metric
        for metric, findings_of_metric in metrics.items()
        if not any(other in metrics for other in implied_by.get(metric, ()))
    }
    texts = [_fact(metric, findings_of_metric, runs) for metric, findings_of_metric in own.items()]
    notes = [_note(findings_of_metric[0]) for findings_of_metric in own.values()]
    # A note that consecutive metrics have in common is written once, after the last of them.
    return [
        f"{text}: {note}" if note and note != after else text
        for text, note, after in zip(texts, notes, [*notes, ""][1:], strict=True)
    ]


def _note(finding: Finding) -> str:
    """The note of a finding; "" for limits, accuracies and values that are not numbers, whose texts contain it."""
    in_text = finding.kind == "limit" or finding.metric in METRICS or finding.change is None
    return "" if in_text else finding.note


def _order(finding: Finding) -> int:
    """The position of a metric: limits, formulas, costs, other metrics, sync steps, accuracy or loss."""
    if finding.metric.startswith("bytes_t"):
        return 2
    first = {"limit": 0, "A": 1}.get(finding.kind, 3)
    return 5 if finding.metric in METRICS else 4 if finding.metric == "sync_steps" else first


def _fact(metric: str, findings: Sequence[Finding], runs: int) -> str:
    """The text of a metric over the runs in which it is not `unchanged`."""
    worst = findings[0]
    scope = f" in {len(findings)} of {runs} runs" if runs > 1 and worst.seed is not None else ""
    if worst.kind == "limit":
        return f"{limit_text(worst)}{scope}"
    if metric in METRICS:
        return quality_text(worst)
    if metric == "sync_steps" and worst.kind == "B":
        return f"syncs happen at other steps{scope}"
    if metric == "partition":
        return f"workers have other samples{scope}"
    if metric == "state":
        return f"{worst.before} before, {worst.after} now{scope}"
    return _numbers(metric, findings, scope)


def _numbers(metric: str, findings: Sequence[Finding], scope: str) -> str:
    newly_missed = [finding for finding in findings if finding.after == MISSED and finding.before != MISSED]
    newly_reached = [finding for finding in findings if finding.before == MISSED and finding.after != MISSED]
    if newly_missed or newly_reached:
        target = target_name(metric)
        return f"{target} {'no longer' if newly_missed else 'now'} reached{scope}"
    worst = findings[0]
    before, after = values(worst)
    changes = [finding.change for finding in findings if finding.change is not None]
    colon = ":" if metric.startswith("bytes_to ") else ""
    text = f"{metric_name(metric)}{colon} {before} -> {after}{' at worst' if len(set(changes)) > 1 else ''}"
    return f"{text} ({span(changes)}{scope})" if changes else f"{text}{scope}"


def values(finding: Finding) -> tuple[str, str]:
    """Return the values before and after, with their units."""
    before, after = finding.before, finding.after
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        return str(before), str(after)
    quality = METRICS.get(finding.metric.removeprefix("min_").removeprefix("max_"))
    if quality is not None:
        return quality.format(before, 2), quality.format(after, 2)
    if is_bytes(finding.metric):
        return sizes(before, after)
    texts = [format_count(value) if float(value).is_integer() else f"{value:.6g}" for value in (before, after)]
    return texts[0], texts[1]


def limit_text(finding: Finding) -> str:
    """Return a text such as `max_bytes: 31.0 kB, the limit is 30.0 kB`."""
    limit, value = values(finding)
    note = f" ({finding.note})" if finding.metric == "cells" else ""
    return f"{metric_name(finding.metric)}: {value}, the limit is {limit}{note}"


def quality_text(finding: Finding) -> str:
    """Return a text such as `accuracy 91.20 % -> 91.30 % (+0.1 points [-3.0, +3.2]), within the margin`."""
    before, after = values(finding)
    difference = finding.change
    change = f" ({quality_change_text(finding.metric, difference, finding.interval)})" if difference is not None else ""
    return f"{METRICS[finding.metric].title} {before} -> {after}{change}, {finding.note}"
