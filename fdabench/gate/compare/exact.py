"""Compares numbers exactly: class A in every environment, class B only if the environment is the same."""

import math
from collections.abc import Iterator

from fdabench.gate.baseline.model import RunSummary
from fdabench.gate.compare.settings import GateConfig
from fdabench.gate.compare.verdict import Finding, Value, Verdict
from fdabench.gate.output.units import target_metric
from fdabench.metrics import ACCURACY, Metric

_TOTALS = ("steps", "syncs", "sync_steps", "bytes_model", "bytes_state", "bytes_optimizer", "bytes_total")
_COSTS = ("syncs", "bytes_model", "bytes_state", "bytes_optimizer", "bytes_total")
MISSED = "missed"
_NOTES = {"sync_steps": "syncs happen at other steps", "partition": "workers have other samples"}


def check_formula_metrics(before: RunSummary, after: RunSummary) -> list[Finding]:
    """Compare the numbers of class A, which follow from the configuration alone.

    A difference means that the code computes something else than before.
    """
    return [_formula(after, name, old, new) for name, old, new in _pairs(_formula_values(before, after), before, after)]


def is_formula(before: RunSummary, after: RunSummary) -> bool:
    """Whether all communication follows from the configuration: both runs have a fixed period and made every step."""
    return before.period is not None and after.period is not None and before.state == after.state == "done"


def _formula_values(before: RunSummary, after: RunSummary) -> list[str]:
    return ["num_parameters", "seeds", "theta", "period", *(_TOTALS if is_formula(before, after) else ())]


def _pairs(names: list[str], before: RunSummary, after: RunSummary) -> Iterator[tuple[str, Value, Value]]:
    for name in names:
        yield name, getattr(before, name), getattr(after, name)
    # A kind that only one run sent depends on data, or shows in the totals.
    for kind in sorted(before.payload.keys() & after.payload.keys()):
        yield f"payload.{kind}", _sizes(before, kind), _sizes(after, kind)


def _sizes(run: RunSummary, kind: str) -> Value:
    sizes = run.payload[kind]
    return sizes[0] if len(sizes) == 1 else ", ".join(map(str, sizes))


def _formula(run: RunSummary, name: str, old: Value, new: Value) -> Finding:
    verdict = Verdict.unchanged if _equal(old, new) else Verdict.fail
    note = "" if verdict == Verdict.unchanged else "a formula: must be equal everywhere"
    return Finding("A", verdict, run.cell, run.seed, name, old, new, relative_change(old, new), note=note)


def check_reproducible_metrics(
    before: RunSummary, after: RunSummary, gate: GateConfig, targets: tuple[str, ...], metric: Metric = ACCURACY
) -> list[Finding]:
    """Compare the numbers of class B, which are reproducible in the same environment.

    Args:
        before, after: two runs of the same environment.
        gate: the settings of the gate; `soft` is how much worse a cost may be.
        targets: the targets, as keys of `bytes_to`.
        metric: of the targets.
    """
    soft = gate.soft
    totals = () if is_formula(before, after) else _TOTALS
    findings = [_fact(after, name, getattr(before, name), getattr(after, name)) for name in ("state", "partition")]
    for name in totals:
        old, new = getattr(before, name), getattr(after, name)
        findings.append(_cost(after, name, old, new, soft) if name in _COSTS else _fact(after, name, old, new, soft))
    for target in targets:
        old, new = before.bytes_to.get(target), after.bytes_to.get(target)
        findings.append(_to_target(after, target_metric("bytes_to", target, metric), old, new, soft))
    return findings


def _fact(run: RunSummary, name: str, old: Value, new: Value, soft: float = 0.0) -> Finding:
    """Compare a value that cannot be better or worse. If `soft` tolerates changes, the costs decide, and it passes."""
    verdict = Verdict.unchanged if old == new else Verdict.passed if soft > 0 else Verdict.fail
    note = "" if old == new else _NOTES.get(name, "reproducible in this environment, but not equal")
    return Finding("B", verdict, run.cell, run.seed, name, old, new, note=note)


def _cost(run: RunSummary, name: str, old: int, new: int, soft: float) -> Finding:
    change = relative_change(old, new)
    if old == new:
        verdict, note = Verdict.unchanged, ""
    elif new < old:
        verdict, note = Verdict.better, ""
    elif change is not None and change <= soft:
        verdict, note = Verdict.passed, f"within what is allowed ({100 * soft:g} %)"
    else:
        verdict, note = Verdict.fail, f"more than allowed ({100 * soft:g} %)"
    return Finding("B", verdict, run.cell, run.seed, name, old, new, change, note=note)


def _to_target(run: RunSummary, name: str, old: int | None, new: int | None, soft: float) -> Finding:
    if old is not None and new is not None:
        return _cost(run, name, old, new, soft)
    if old is None and new is None:
        return Finding("B", Verdict.unchanged, run.cell, run.seed, name, MISSED, MISSED)
    if new is None:
        return Finding("B", Verdict.fail, run.cell, run.seed, name, old, MISSED, note="no longer reached")
    return Finding("B", Verdict.better, run.cell, run.seed, name, MISSED, new, note="now reached")


def relative_change(old: Value, new: Value) -> float | None:
    """Return the difference as a fraction of the old value; None if a value is not a number or the old one is 0.

    >>> relative_change(80, 100)
    0.25
    """
    if isinstance(old, int | float) and isinstance(new, int | float) and old:
        return (new - old) / old
    return None


def _equal(old: Value, new: Value) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=1e-12)  # allows for rounding in the file
    return old == new
