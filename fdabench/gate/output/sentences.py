"""Summarizes the findings of the gate in one sentence for each strategy: missing runs, bytes, other facts, accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass

from fdabench.formatting import plural
from fdabench.gate.baseline.model import GONE, UnfinishedRun
from fdabench.gate.compare.verdict import CheckResult, Finding, Verdict
from fdabench.gate.output.cell_rows import facts
from fdabench.gate.output.units import quality_change_text, span, strategy_kinds, strategy_of
from fdabench.metrics import METRICS


@dataclass(frozen=True)
class StrategySentence:
    """The sentence of a strategy. A strategy with a run that has no result fails, whatever its other runs are."""

    strategy: str
    verdict: Verdict
    text: str
    missing: tuple[UnfinishedRun, ...] = ()

    @property
    def line(self) -> str:
        return f"{self.strategy}: {self.text}"


def sentences(result: CheckResult) -> list[StrategySentence]:
    """Return a sentence for each strategy with a change or a missing run, the worst first."""
    by_strategy = _by_strategy(result)
    order = list(reversed(Verdict))
    changed = [_sentence(result, name, *entry) for name, entry in by_strategy.items() if _has_changes(*entry)]
    return sorted(changed, key=lambda sentence: order.index(sentence.verdict))


def unchanged(result: CheckResult) -> str:
    """Return a line such as `unchanged: fedavg, synchronous (12 runs)`; "" if no strategy is unchanged."""
    others = {
        name: findings
        for name, (findings, missing) in _by_strategy(result).items()
        if not _has_changes(findings, missing)
    }
    runs = sum(_runs(result, findings) for findings in others.values())
    return f"unchanged: {', '.join(others)} ({plural(runs, 'run')})" if others else ""


def _by_strategy(result: CheckResult) -> dict[str, tuple[list[Finding], list[UnfinishedRun]]]:
    """The findings and the missing runs of each strategy.

    A strategy is named by its kinds, such as `kamp`. Its settings are added only if several have the same kinds.
    """
    cells = [finding.cell for finding in result.findings] + [run.cell for run in result.missing]
    full: dict[str, set[str]] = {}
    for name in map(strategy_of, cells):
        full.setdefault(strategy_kinds(name), set()).add(name)
    by_strategy: dict[str, tuple[list[Finding], list[UnfinishedRun]]] = {}
    for finding in result.findings:
        by_strategy.setdefault(_name(finding.cell, full), ([], []))[0].append(finding)
    for run in result.missing:
        by_strategy.setdefault(_name(run.cell, full), ([], []))[1].append(run)
    return by_strategy


def _name(cell: str, full: dict[str, set[str]]) -> str:
    kinds = strategy_kinds(cell)
    return kinds if len(full[kinds]) == 1 else strategy_of(cell)


def _has_changes(findings: Sequence[Finding], missing: Sequence[UnfinishedRun]) -> bool:
    return bool(missing) or any(finding.verdict != Verdict.unchanged for finding in findings)


def _runs(result: CheckResult, findings: Sequence[Finding]) -> int:
    cells = {finding.cell for finding in findings}
    return sum(cell in cells for cell, _ in result.ids)


def _sentence(
    result: CheckResult, name: str, findings: Sequence[Finding], missing: Sequence[UnfinishedRun]
) -> StrategySentence:
    runs = _runs(result, findings)
    own = set(findings)
    changes = [finding for finding in result.changed_findings if finding in own]
    costs = [finding for finding in findings if finding.metric == "bytes_total" and finding.kind != "limit"]
    other = [finding for finding in changes if finding.metric not in METRICS and finding not in costs]
    parts = [*_absent(missing, runs + len(missing)), *_bytes(result, costs), *_others(other, costs, runs)]
    parts += _quality([finding for finding in findings if finding.metric in METRICS])
    verdict = Verdict.fail if missing else max((change.verdict for change in changes), key=list(Verdict).index)
    return StrategySentence(name, verdict, "; ".join(parts), tuple(missing))


def _absent(missing: Sequence[UnfinishedRun], runs: int) -> list[str]:
    """One text for each reason why runs have no result."""
    reasons: dict[str, int] = {}
    for run in missing:
        what = "gone from the results" if run.state == GONE else f"without a result ({run.reason})"
        reasons[what] = reasons.get(what, 0) + 1
    return [f"{number} of {plural(runs, 'run')} {what}" for what, number in reasons.items()]


def _bytes(result: CheckResult, costs: Sequence[Finding]) -> list[str]:
    """A text such as `+8 to +17 % bytes in 6 of 6 runs (limit 0 %)`.

    It counts runs if the bytes are reproducible, and cells if the environments differ.
    """
    changed_costs = [cost for cost in costs if cost.verdict != Verdict.unchanged]
    if not changed_costs:
        return ["bytes unchanged"] if costs else []
    changes = [cost.change for cost in changed_costs if cost.change is not None]
    exact = costs[0].seed is not None
    share = f"{len(changed_costs)} of {plural(len(costs), 'run' if exact else 'cell')}"
    if not changes:
        return [f"bytes changed in {share}"]
    if exact:
        formula = any(cost.kind == "A" for cost in changed_costs)
        allowed = "a formula: must be equal" if formula else f"limit {100 * result.soft:g} %"
        return [f"{span(changes)} bytes in {share} ({allowed})"]
    counts = ", ".join(
        f"{n} {verdict}" for verdict in Verdict if (n := sum(c.verdict == verdict for c in changed_costs))
    )
    return [f"{span(changes)} bytes in {share} of another environment ({counts})"]


def _others(findings: Sequence[Finding], costs: Sequence[Finding], runs: int) -> list[str]:
    """The facts that a change of bytes does not imply.

    These are limits, formulas, targets that are no longer or newly reached, states and partitions. If bytes did not
    change, they are all findings.
    """
    bytes_changed = any(cost.verdict != Verdict.unchanged for cost in costs)
    own = [
        finding
        for finding in findings
        if not bytes_changed
        or finding.kind == "limit"
        or (finding.kind == "A" and finding.metric not in ("syncs", "sync_steps", "bytes_model"))
        or finding.metric in ("state", "partition")
        or (finding.metric.startswith("bytes_to ") and finding.change is None)
    ]
    return facts(own, runs)


def _quality(cells: Sequence[Finding]) -> list[str]:
    """The mean change of accuracy or loss over the strategy's cells, with the mean of their intervals.

    The mean of the intervals is valid for any correlation between the errors of the cells.
    """
    if not cells:
        return []
    metric = METRICS[cells[0].metric]
    name = metric.title
    if all(cell.verdict == Verdict.unchanged for cell in cells):
        return [f"{name} unchanged"]
    change = sum(cell.change or 0.0 for cell in cells) / len(cells)
    intervals = [cell.interval for cell in cells if cell.interval is not None]
    low, high = (sum(ends) / len(cells) for ends in zip(*intervals, strict=True)) if intervals else (0.0, 0.0)
    limits = (low, high) if len(intervals) == len(cells) else None
    failed = sum(cell.verdict == Verdict.fail for cell in cells)
    inconclusive = sum(cell.verdict == Verdict.inconclusive for cell in cells)
    also = f", {inconclusive} inconclusive" if inconclusive else ""
    change_text = quality_change_text(metric.name, change, limits)
    if failed:
        return [
            f"{name} worse by more than the margin in {failed} of {plural(len(cells), 'cell')} ({change_text}{also})"
        ]
    if limits is None:
        return [f"{name} {change_text} (noise unknown with one seed{also})"]
    if low <= 0 <= high:
        return [f"{name} not measurably changed ({change_text}{also})"]
    return [f"{name} {'higher' if low > 0 else 'lower'} ({change_text}{also})"]
