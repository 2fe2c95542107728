"""Compares two results folders: the change of each metric with its interval, in each cell and over all cells."""

import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from fdabench.analysis.paired import design_of, half_widths
from fdabench.analysis.stats import geometric_mean
from fdabench.errors import NotComparedError
from fdabench.gate.baseline.model import RunPair
from fdabench.gate.baseline.snapshot import summarize_results
from fdabench.gate.compare.no_overlap import explain_no_overlap
from fdabench.gate.compare.samples import MetricLosses, quality_change, quality_sample, target_sample, total_sample
from fdabench.gate.compare.stats import ROUNDING, moderated_t
from fdabench.metrics import METRICS, Metric
from fdabench.results.flatten_keys import flatten_keys
from fdabench.results.load import Results
from fdabench.results.suite_lock import LockedCell


@dataclass(frozen=True)
class ComparisonRow:
    """One metric of a cell over its seeds, or of all cells.

    `a` and `b` are the means of both sides. `change` is a difference of fractions for accuracy, of nats for loss, and a
    ratio - 1 for costs. `verdict` is `same`, or `better` or `worse` if the 95 % interval excludes 0, or else `unclear`.
    """

    cell: str
    metric: str
    a: float
    b: float
    change: float
    interval: tuple[float, float] | None
    seeds: int
    bound: str
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """The lines, the keys in which paired configurations differ, and the number of runs without a counterpart."""

    lines: tuple[ComparisonRow, ...]
    differing: tuple[str, ...]
    num_unpaired: int


def side_by_side(a: Results, b: Results) -> Comparison:
    """Compare the results `b` with `a`, by the targets and the convention of `a`.

    Runs are paired by id, and the remaining runs by label and workload.

    Raises:
        NotComparedError: no run of one has a counterpart in the other.
    """
    before = summarize_results(a)
    after = summarize_results(b, before.protocol)
    old, new = before.by_id, after.by_id
    common = [(key, key) for key in old if key in new]
    matched = common + _same_settings(a, b, old.keys() - new.keys(), new.keys() - old.keys())
    if not matched:
        reason = explain_no_overlap(before, after, str(a.root), str(b.root))
        raise NotComparedError(f"{a.root} and {b.root}: no run of one has a counterpart in the other{reason}")
    pairs = [RunPair(old[left], new[right]) for left, right in matched]
    lines = _lines(pairs, [str(float(target)) for target in before.protocol.targets], before.metric)
    return Comparison(tuple(lines), _differing_settings(a, b, matched), len(old) + len(new) - 2 * len(pairs))


def _same_settings(a: Results, b: Results, old: AbstractSet[str], new: AbstractSet[str]) -> list[tuple[str, str]]:
    ids_b = {_pairing_key(cell): cell.id for cell in b.lock.cell if cell.id in new}
    keys_a = [(cell.id, _pairing_key(cell)) for cell in a.lock.cell if cell.id in old]
    return [(id_a, ids_b[key]) for id_a, key in keys_a if key in ids_b]


def _pairing_key(cell: LockedCell) -> str:
    """The label, the workload and the seed of a cell, by which runs with different ids are paired."""
    config = cell.config.to_dict()
    axes = [config[key] for key in ("dataset", "model", "workers", "batch_size", "partition", "seed")]
    return f"{cell.label} {axes}"


def _differing_settings(a: Results, b: Results, matched: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    left, right = ({cell.id: flatten_keys(cell.config.to_dict()) for cell in side.lock.cell} for side in (a, b))
    keys = {
        key
        for id_a, id_b in matched
        for key in {**left[id_a], **right[id_b]}
        if left[id_a].get(key) != right[id_b].get(key)
    }
    return tuple(sorted(keys))


def _lines(pairs: Sequence[RunPair], targets: Sequence[str], metric: Metric) -> list[ComparisonRow]:
    cells: dict[str, list[RunPair]] = {}
    for pair in pairs:
        cells.setdefault(pair.before.cell, []).append(pair)
    families = [[*_samples(cells, name, metric)] for name in (metric.name, "bytes_total", *targets)]
    lines = []
    for family in families:
        lines += [_line(sample) for sample in family]
        lines += [all_cells(family)] if len(family) > 1 else []
    return lines


def _samples(cells: Mapping[str, Sequence[RunPair]], name: str, metric: Metric) -> Iterable[MetricLosses]:
    for cell, pairs in cells.items():
        if name == metric.name:
            sample = quality_sample(cell, pairs, metric)
        else:
            sample = total_sample(cell, pairs) if name == "bytes_total" else target_sample(cell, name, pairs, metric)
        if sample is not None and len(sample.losses):
            yield sample


def _line(sample: MetricLosses) -> ComparisonRow:
    (estimate,) = moderated_t([sample.losses])
    # If all seeds have the same loss of a cost, its variance is 0. If they have the same loss of accuracy, the reason
    # may be that accuracies are multiples of 1 / test samples, so the variance is unknown.
    coarse = sample.metric == "accuracy" and float(np.ptp(sample.losses)) < ROUNDING
    interval = (-math.inf, math.inf) if coarse else estimate.interval
    return _format_verdict(sample, sample.cell, estimate.mean, interval, len(sample.losses))


def _format_verdict(
    sample: MetricLosses, cell: str, mean: float, losses: tuple[float, float], seeds: int
) -> ComparisonRow:
    low, high = losses
    if sample.metric in METRICS:
        change, interval = quality_change(METRICS[sample.metric], mean, (low, high))
    else:
        change, interval = math.expm1(mean), (math.expm1(low), math.expm1(min(high, 700.0)))
    is_finite = math.isfinite(low)
    word = "same" if not sample.losses.any() else "worse" if low > 0 else "better" if high < 0 else "unclear"
    limits = interval if is_finite and word != "same" else None
    return ComparisonRow(cell, sample.metric, sample.before, sample.after, change, limits, seeds, sample.bound, word)


def all_cells(family: Sequence[MetricLosses]) -> ComparisonRow:
    """Return the comparison over all cells in one metric: the mean change of a quality, the geometric mean of costs.

    Cells have equal weights. The interval takes into account that runs of one seed are not independent, because they
    start from the same weights and draw the same batches.

    Args:
        family: the losses of the cells in one metric.
    """
    losses = np.concatenate([sample.losses for sample in family])
    cells = np.repeat(np.arange(len(family)), [len(sample.losses) for sample in family])
    design = design_of(cells, np.concatenate([sample.seeds for sample in family]))
    mean = float(losses @ design.weight_n)
    half = float(half_widths(losses[None], design)[0]) if design.has_chance else math.inf
    bounds = {sample.bound for sample in family}
    bound = bounds.pop() if len(bounds) == 1 else "~"
    a, b = (_mean(family, side) for side in ("before", "after"))
    name = "all cells (mean)" if family[0].metric in METRICS else "all cells (geometric mean)"
    suite_losses = MetricLosses(name, family[0].metric, losses, a, b, bound)
    return _format_verdict(suite_losses, name, mean, (mean - half, mean + half), len(losses))


def _mean(family: Sequence[MetricLosses], side: str) -> float:
    values = np.array([getattr(sample, side) for sample in family])
    return float(values.mean()) if family[0].metric in METRICS else geometric_mean(values)
