"""Collects the noisy metrics that two results have in common, as losses of each seed of a cell."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fdabench.analysis.stats import geometric_mean
from fdabench.gate.baseline.model import RunPair, RunSummary
from fdabench.gate.compare.exact import is_formula
from fdabench.gate.compare.stats import Losses
from fdabench.gate.output.units import target_metric
from fdabench.metrics import ACCURACY, Metric


@dataclass(frozen=True)
class MetricLosses:
    """The losses of one cell in one metric, one for each seed: in the metric's unit, or log ratios of costs.

    `seeds` has the seed of each loss, because runs of different cells with the same seed are not independent. `bound`
    is "≥" if the losses are lower bounds, because a target is missed now. It is "≤" if they are upper bounds, because
    the target was missed before.
    """

    cell: str
    metric: str
    losses: Losses
    before: float
    after: float
    bound: str = ""
    seeds: tuple[int, ...] = ()


def samples(pairs: Sequence[RunPair], targets: Iterable[str], metric: Metric = ACCURACY) -> list[MetricLosses]:
    """Return the losses of the pairs in every noisy metric.

    Args:
        pairs: the pairs of runs.
        targets: the targets, as keys of `bytes_to`.
        metric: of the suite.
    """
    cells: dict[str, list[RunPair]] = {}
    for pair in pairs:
        cells.setdefault(pair.after.cell, []).append(pair)
    names = tuple(targets)
    return [sample for cell, seeds in cells.items() for sample in _of_cell(cell, seeds, names, metric)]


def _of_cell(cell: str, pairs: Sequence[RunPair], targets: Sequence[str], metric: Metric) -> Iterator[MetricLosses]:
    other_environment = [pair for pair in pairs if not pair.same_environment]
    noisy = [pair for pair in other_environment if not is_formula(*pair)]
    samples = [quality_sample(cell, pairs, metric), total_sample(cell, noisy)]
    samples += [target_sample(cell, target, other_environment, metric) for target in targets]
    yield from (sample for sample in samples if sample is not None)


def quality_sample(cell: str, pairs: Sequence[RunPair], metric: Metric) -> MetricLosses | None:
    """Return how much the quality of the models fell, without pairs in which a run has no finite value.

    The quality is the suite's metric, in its unit. It is None if no pair remains.
    """
    values = [
        (pair, metric.convert(_source(pair.before, metric)), metric.convert(_source(pair.after, metric)))
        for pair in pairs
    ]
    usable = [(pair, old, new) for pair, old, new in values if math.isfinite(old) and math.isfinite(new)]
    if not usable:
        return None
    before, after = (np.array([value[side] for value in usable]) for side in (1, 2))
    seeds = _seeds([pair for pair, _, _ in usable])
    loss = metric.margin(before, after)
    return MetricLosses(cell, metric.name, loss, float(before.mean()), float(after.mean()), seeds=seeds)


def _source(run: RunSummary, metric: Metric) -> float:
    return run.accuracy if metric.source == "accuracy" else run.loss


def quality_change(metric: Metric, loss: float, interval: tuple[float, float]) -> tuple[float, tuple[float, float]]:
    """Return the change of a metric and its interval, from how much worse it got."""
    low, high = interval
    return (0.0 - loss, (-high, -low)) if metric.higher_is_better else (loss, (low, high))


def total_sample(cell: str, pairs: Sequence[RunPair]) -> MetricLosses | None:
    """Return the losses of total bytes, without costs of 0, as of one worker in a ring; None if no pair remains."""
    costs = [_Cost(pair, pair.before.bytes_total, pair.after.bytes_total) for pair in pairs]
    nonzero = [cost for cost in costs if cost.is_positive]
    return _costs(cell, "bytes_total", nonzero, "") if nonzero else None


def target_sample(cell: str, target: str, pairs: Sequence[RunPair], metric: Metric) -> MetricLosses | None:
    """Return the losses of bytes to a target. A miss costs all bytes of its run; pairs of two misses are omitted."""
    hits = [(pair, pair.before.bytes_to.get(target), pair.after.bytes_to.get(target)) for pair in pairs]
    reached = [(pair, old, new) for pair, old, new in hits if old is not None or new is not None]
    misses, hits_gained = any(new is None for _, _, new in reached), any(old is None for _, old, _ in reached)
    costs = [_Cost(pair, old or pair.before.bytes_total, new or pair.after.bytes_total) for pair, old, new in reached]
    # A mean of lower and upper bounds is not a bound.
    reached_twice = [_Cost(pair, old, new) for pair, old, new in reached if old is not None and new is not None]
    usable = [cost for cost in (reached_twice if misses and hits_gained else costs) if cost.is_positive]
    bound = "" if misses == hits_gained else "≥" if misses else "≤"
    return _costs(cell, target_metric("bytes_to", target, metric), usable, bound) if usable else None


class _Cost(NamedTuple):
    """Bytes of a pair of runs."""

    pair: RunPair
    before: int
    after: int

    @property
    def is_positive(self) -> bool:
        return min(self.before, self.after) > 0


def _costs(cell: str, metric: str, costs: Sequence[_Cost], bound: str) -> MetricLosses:
    old, new = (np.array(side, dtype=float) for side in ([c.before for c in costs], [c.after for c in costs]))
    seeds = _seeds([cost.pair for cost in costs])
    return MetricLosses(cell, metric, np.log(new / old), geometric_mean(old), geometric_mean(new), bound, seeds)


def _seeds(pairs: Iterable[RunPair]) -> tuple[int, ...]:
    return tuple(pair.before.seed for pair in pairs)
