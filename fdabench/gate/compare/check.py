"""Checks limits, formulas, reproducible metrics and noisy metrics, in this order, for `fdabench check`."""

from collections.abc import Mapping, Sequence

from fdabench.errors import NotComparedError
from fdabench.formatting import plural
from fdabench.gate.baseline.model import GONE, ResultsSummary, RunPair, RunSummary, UnfinishedRun
from fdabench.gate.compare.changed_settings import pair_changed
from fdabench.gate.compare.exact import check_formula_metrics, check_reproducible_metrics
from fdabench.gate.compare.first_difference import first_differing_sync
from fdabench.gate.compare.limits import check_limits_of_runs
from fdabench.gate.compare.no_overlap import explain_no_overlap
from fdabench.gate.compare.noisy import check_noisy_metrics
from fdabench.gate.compare.samples import samples
from fdabench.gate.compare.settings import GateConfig
from fdabench.gate.compare.verdict import OWN_LIMITS, CheckResult, Finding, Verdict
from fdabench.gate.output.units import format_metric
from fdabench.metrics import Metric


def check_limits(own: ResultsSummary, gate: GateConfig) -> CheckResult:
    """Check the limits of the suite without a baseline.

    Args:
        own: the results.
        gate: the settings of the gate.

    Raises:
        NotComparedError: the suite sets no limit. Give a baseline or other results, or set a limit in the suite.
    """
    if not gate.limit:
        raise NotComparedError(
            f"{own.suite}: nothing to compare with: give --baseline FILE or --against RESULTS, or set limits in the "
            "suite ([[gate.limit]])"
        )
    return CheckResult(
        own.suite,
        OWN_LIMITS,
        tuple(check_limits_of_runs(own, gate)),
        missing=tuple(sorted(own.unfinished.values())),
        ids={(run.cell, run.seed): run.id for run in own.runs},
    )


def check(
    before: ResultsSummary, after: ResultsSummary, gate: GateConfig, own: ResultsSummary, against: str
) -> CheckResult:
    """Compare two results: pair runs by id and judge them, and pair the others by their settings.

    Args:
        before, after: the old and the new results, evaluated by the same protocol.
        gate: the settings of the gate.
        own: the same results as `after`, evaluated by the protocol of their own suite, which limits refer to.
        against: the name of the old results, for messages.

    Returns:
        The findings of all runs in both results, the runs that are missing or new, and notes on the comparison.

    Raises:
        NotComparedError: the results have no cell in common.
    """
    old, new = before.by_id, after.by_id
    pairs = [RunPair(old[key], run) for key, run in new.items() if key in old]
    added = [run for key, run in new.items() if key not in old]
    removed = [run for key, run in old.items() if key not in {**new, **after.unfinished}]
    metric = before.metric
    changed = pair_changed(removed, added, metric)
    if not pairs and not changed:
        reason = explain_no_overlap(before, after, against, "these results")
        raise NotComparedError(f"{against} and {after.suite} have no cell in common{reason}")
    targets = tuple(str(float(target)) for target in before.protocol.targets)
    noisy, suite_wide_tests = check_noisy_metrics(samples(pairs, targets, metric), gate)
    findings = [*check_limits_of_runs(own, gate), *_exact(pairs, gate, targets, metric), *noisy]
    paired = {run.id for changed_runs in changed for pair in changed_runs.pairs for run in pair}
    absent = [UnfinishedRun(run.cell, run.name, GONE) for run in removed if run.id not in paired]
    return CheckResult(
        after.suite,
        against,
        tuple(findings),
        tuple(suite_wide_tests),
        missing=tuple(sorted([*after.unfinished.values(), *absent])),
        added=tuple(run.name for run in added if run.id not in paired),
        changed=tuple(changed),
        ids={(pair.after.cell, pair.after.seed): pair.after.id for pair in pairs},
        soft=gate.soft,
        notes=_notes(before, after, pairs, own),
        why=_why(pairs),
    )


def _exact(pairs: Sequence[RunPair], gate: GateConfig, targets: tuple[str, ...], metric: Metric) -> list[Finding]:
    findings = []
    for pair in pairs:
        findings += check_formula_metrics(*pair)
        if pair.same_environment:
            findings += check_reproducible_metrics(*pair, gate, targets, metric)
        elif pair.after.state == "diverged" != pair.before.state:
            findings.append(_diverged(*pair))
    return findings


def _diverged(before: RunSummary, after: RunSummary) -> Finding:
    note = "did not diverge before"
    return Finding("C", Verdict.fail, after.cell, after.seed, "state", before.state, after.state, note=note)


def _notes(
    before: ResultsSummary, after: ResultsSummary, pairs: Sequence[RunPair], own: ResultsSummary
) -> tuple[str, ...]:
    protocol = before.protocol._asdict()
    other = _differing(protocol, own.protocol._asdict())
    notes = [f"evaluated with the baseline's {key}: {protocol[key]}" for key in other]
    others = {(pair.before.environment, pair.after.environment): None for pair in pairs if not pair.same_environment}
    for before_value, after_value in others:
        old, new = before.environments[before_value], after.environments[after_value]
        changes = ", ".join(
            f"{key} {_format_missing(old.get(key))} -> {_format_missing(new.get(key))}"
            for key in sorted(_differing(old, new))
        )
        notes.append(
            f"another environment ({changes}): bytes and syncs are compared within a margin, as {own.metric.title} is"
        )
    return tuple(notes)


def _format_missing(value: object) -> str:
    """A value of an environment. For an engine, such as `distributed x1`, it includes how many cells run at once."""
    name, _, batched = str(value).rpartition(" x")
    return f"{name}, {plural(int(batched), 'cell')} at once" if name and batched.isdecimal() else str(value)


def _differing(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    return [key for key in {**old, **new} if old.get(key) != new.get(key)]


def _why(pairs: Sequence[RunPair]) -> tuple[str, ...]:
    causes = ((pair.after, first_differing_sync(*pair)) for pair in pairs)
    return tuple(f"{format_metric(run.cell)} s{run.seed}  {run.id}: {text}" for run, text in causes if text)
