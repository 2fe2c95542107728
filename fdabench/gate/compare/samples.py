"""Collects the noisy metrics that two results have in common, as losses of each seed of a cell."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fdabench.analysis.stats import geometric_mean
from fdabench.gate.baseline.model import RunPair
from fdabench.gate.compare.exact import is_formula
from fdabench.gate.compare.stats import Losses


@dataclass(frozen=True)
class MetricLosses:
    """The losses of one cell in one metric, one for each seed: fractions of the test set, or log ratios of costs.

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


def samples(pairs: Sequence[RunPair], targets: Iterable[str]) -> list[MetricLosses]:
    """Return the losses of the pairs in every noisy metric.

    Args:
        pairs: the pairs of runs.
        targets: the targets, as keys of `bytes_to`.
    """
    cells: dict[str, list[RunPair]] = {}
    for pair in pairs:
        cells.setdefault(pair.after.cell, []).append(pair)
    names = tuple(targets)
    return [sample for cell, seeds in cells.items() for sample in _of_cell(cell, seeds, names)]


def _of_cell(cell: str, pairs: Sequence[RunPair], targets: Sequence[str]) -> Iterator[MetricLosses]:
    elsewhere = [pair for pair in pairs if not pair.same_environment]
    noisy = [pair for pair in elsewhere if not is_formula(*pair)]
    found = [accuracy_sample(cell, pairs), total_sample(cell, noisy)]
    found += [target_sample(cell, target, elsewhere) for target in targets]
    yield from (sample for sample in found if sample is not None)


def accuracy_sample(cell: str, pairs: Sequence[RunPair]) -> MetricLosses | None:
    """Return the losses of accuracy, without pairs in which a run has no finite accuracy; None if no pair remains."""
    usable = [pair for pair in pairs if math.isfinite(pair.before.accuracy) and math.isfinite(pair.after.accuracy)]
    if not usable:
        return None
    old, new = (np.array([pair[side].accuracy for pair in usable]) for side in (0, 1))
    return MetricLosses(cell, "accuracy", old - new, float(old.mean()), float(new.mean()), seeds=_seeds(usable))


def total_sample(cell: str, pairs: Sequence[RunPair]) -> MetricLosses | None:
    """Return the losses of total bytes, without costs of 0, as of one worker in a ring; None if no pair remains."""
    costs = [_Cost(pair, pair.before.bytes_total, pair.after.bytes_total) for pair in pairs]
    known = [cost for cost in costs if cost.some]
    return _costs(cell, "bytes_total", known, "") if known else None


def target_sample(cell: str, target: str, pairs: Sequence[RunPair]) -> MetricLosses | None:
    """Return the losses of bytes to a target. The cost of a miss is what was spent; pairs of two misses are omitted."""
    hits = [(pair, pair.before.bytes_to.get(target), pair.after.bytes_to.get(target)) for pair in pairs]
    known = [(pair, old, new) for pair, old, new in hits if old is not None or new is not None]
    lost, won = any(new is None for _, _, new in known), any(old is None for _, old, _ in known)
    costs = [_Cost(pair, old or pair.before.bytes_total, new or pair.after.bytes_total) for pair, old, new in known]
    # A mean of lower and upper bounds is not a bound.
    both = [_Cost(pair, old, new) for pair, old, new in known if old is not None and new is not None]
    usable = [cost for cost in (both if lost and won else costs) if cost.some]
    bound = "" if lost == won else "≥" if lost else "≤"
    return _costs(cell, f"bytes_to {target}", usable, bound) if usable else None


class _Cost(NamedTuple):
    """Bytes of a pair of runs."""

    pair: RunPair
    before: int
    after: int

    @property
    def some(self) -> bool:
        return min(self.before, self.after) > 0


def _costs(cell: str, metric: str, costs: Sequence[_Cost], bound: str) -> MetricLosses:
    old, new = (np.array(side, dtype=float) for side in ([c.before for c in costs], [c.after for c in costs]))
    seeds = _seeds([cost.pair for cost in costs])
    return MetricLosses(cell, metric, np.log(new / old), geometric_mean(old), geometric_mean(new), bound, seeds)


def _seeds(pairs: Iterable[RunPair]) -> tuple[int, ...]:
    return tuple(pair.before.seed for pair in pairs)
