"""Tests the noisy metrics of class C: accuracy, and costs if the environments differ.

Over the seeds of a cell, a metric must not be worse than before by more than a margin.
"""

import math
from collections.abc import Mapping, Sequence

from fdabench.gate.compare.samples import MetricLosses, quality_change
from fdabench.gate.compare.settings import GateConfig
from fdabench.gate.compare.stats import SUITE_ALPHA, LossEstimate, holm, moderated_t, suite_wide_test
from fdabench.gate.compare.verdict import Finding, SuiteWideTest, Verdict
from fdabench.metrics import METRICS

ALPHA = 0.05
NEGLIGIBLE = 0.1
"""A fraction of the margin. A smaller mean loss of all cells passes, even if it is significant. It is also the smallest
standard deviation that the tests assume.
"""
_BOUNDS = {"": "", "≥": "≥: a seed misses the target now", "≤": "≤: a seed missed the target before"}


def check_noisy_metrics(
    metric_losses: Sequence[MetricLosses], gate: GateConfig
) -> tuple[list[Finding], list[SuiteWideTest]]:
    """Test each metric in each cell and over all cells.

    The cells of a metric are one family. Their variances are moderated, their p-values are adjusted by Holm's method,
    and one test covers all of them.

    Args:
        metric_losses: the losses of each cell and metric.
        gate: the settings of the gate, which contain the margins.

    Returns:
        One finding for each cell and metric, and one test for each metric.
    """
    families: dict[str, list[MetricLosses]] = {}
    for sample in metric_losses:
        families.setdefault(sample.metric, []).append(sample)
    findings = [finding for family in families.values() for finding in _family(family, gate)]
    return findings, _suite_wide_tests(families, gate)


def _family(family: Sequence[MetricLosses], gate: GateConfig) -> list[Finding]:
    changed = [sample for sample in family if len(sample.losses) and sample.losses.any()]
    margin = _margin(family[0].metric, gate)
    estimates = moderated_t([sample.losses for sample in changed], NEGLIGIBLE * margin)
    adjusted = holm([estimate.p_worse_than(margin) for estimate in estimates])
    rest = [sample for sample in family if len(sample.losses) and not sample.losses.any()]
    equal = [_finding(sample, Verdict.unchanged, (0.0, 0.0), "") for sample in rest]
    findings = [
        _test_metric(sample, estimate, p_value, margin, gate)
        for sample, estimate, p_value in zip(changed, estimates, adjusted, strict=True)
    ]
    return equal + findings


def _margin(metric: str, gate: GateConfig) -> float:
    margins = {
        "accuracy": gate.accuracy_margin,
        "loss": gate.loss_margin,
        "bits_per_byte": gate.bits_per_byte_margin,
        "perplexity": gate.perplexity_margin,
    }
    return margins[metric] if metric in margins else math.log1p(gate.cost_margin)


def _test_metric(
    sample: MetricLosses, estimate: LossEstimate, p_value: float, margin: float, gate: GateConfig
) -> Finding:
    verdict, note = _verdict(estimate, p_value, margin, gate.one_seed_margins)
    if (verdict == Verdict.passed and sample.bound == "≥") or (verdict == Verdict.fail and sample.bound == "≤"):
        verdict, note = Verdict.inconclusive, "only a bound of the change is known"
    return _finding(sample, verdict, estimate.interval, note)


def _verdict(estimate: LossEstimate, p_value: float, margin: float, one_seed_margins: float) -> tuple[Verdict, str]:
    if not estimate.has_dof:
        if estimate.mean > one_seed_margins * margin:
            return Verdict.fail, f"more than {one_seed_margins:g} margins worse, for any plausible noise"
        return Verdict.inconclusive, "the noise is unknown: more seeds are needed"
    if p_value < ALPHA:
        return Verdict.fail, f"worse by more than the margin, p = {p_value:.2g}"
    if estimate.upper < margin:
        return Verdict.passed, "not worse by the margin"
    return Verdict.inconclusive, "neither significantly worse than the margin nor within it"


def _finding(sample: MetricLosses, verdict: Verdict, losses: tuple[float, float], note: str) -> Finding:
    """The finding, with the loss converted to a change from before to after; a lost accuracy is a negative change."""
    mean, (low, high) = float(sample.losses.mean()), losses
    if sample.metric in METRICS:
        change, interval = quality_change(METRICS[sample.metric], mean, (low, high))
    else:
        change, interval = math.expm1(mean), (math.expm1(low), math.expm1(min(high, 700.0)))
    seeds = f"{len(sample.losses)} seed{'s' * (len(sample.losses) != 1)}"
    notes = "; ".join(text for text in (_BOUNDS[sample.bound], note, seeds) if text)
    finite_interval = interval if math.isfinite(low) else None
    return Finding(
        "C", verdict, sample.cell, None, sample.metric, sample.before, sample.after, change, finite_interval, notes
    )


def _suite_wide_tests(families: Mapping[str, Sequence[MetricLosses]], gate: GateConfig) -> list[SuiteWideTest]:
    tested = {}
    for metric, family in families.items():
        changed = [sample.losses for sample in family if sample.losses.any() and not sample.bound]
        estimate = suite_wide_test(changed, NEGLIGIBLE * _margin(metric, gate)) if changed else None
        if estimate is not None:
            tested[metric] = (len(changed), estimate)
    alpha = SUITE_ALPHA / max(1, len(tested))
    return [
        _suite_wide_test(metric, cells, estimate, alpha, NEGLIGIBLE * _margin(metric, gate))
        for metric, (cells, estimate) in tested.items()
    ]


def _suite_wide_test(metric: str, cells: int, estimate: LossEstimate, alpha: float, negligible: float) -> SuiteWideTest:
    p_value = estimate.p_worse_than(0.0)
    is_loss = p_value < alpha and estimate.mean > negligible
    return SuiteWideTest(metric, cells, estimate.mean, p_value, alpha, Verdict.fail if is_loss else Verdict.passed)
