"""Is a noisy number worse than a margin? Paired over seeds, variance moderated over cells, Holm over cells.

A *loss* is after minus before, turned so that positive is worse, of one seed of one cell. With three seeds a variance
is hardly known; the cells of a suite lend each other what they know (Smyth 2004, limma's moderated t).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

CONFIDENCE = 0.95
SUITE_ALPHA = 0.01
"""Of the tests for small losses everywhere, all of them together."""
PRIOR_FREEDOM = 8.0
ROUNDING = 1e-12
"""Losses that differ by less are the same."""

Losses = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A mean loss; without degrees of freedom its error is not known. An error of 0: all seeds lost the same."""

    mean: float
    error: float
    freedom: float

    @property
    def known(self) -> bool:
        return self.freedom > 0

    def p_worse_than(self, margin: float) -> float:
        """One-sided, of the hypothesis that the true loss is at most `margin`."""
        if not self.known or self.error == 0:
            return float(not self.known or self.mean <= margin)
        return float(special.stdtr(self.freedom, (margin - self.mean) / self.error))

    @property
    def upper(self) -> float:
        """The true loss is below this with 95 % confidence."""
        return self.mean + self._quantile(CONFIDENCE) * self.error if self.known else math.inf

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, two-sided."""
        half = self._quantile((1 + CONFIDENCE) / 2) * self.error if self.known else math.inf
        return self.mean - half, self.mean + half

    def _quantile(self, share: float) -> float:
        """Of Student's t; scipy.stats has it too, a hundred times slower."""
        return float(special.stdtrit(self.freedom, share))


def moderated(cells: Sequence[Losses], least: float = 0.0) -> list[Estimate]:
    """Each cell's mean loss, with variance (d s^2 + d0 s0^2) / (d + d0), d = seeds - 1, on d + d0 degrees of freedom.

    d0 is 8, or what the *other* cells know where that is less: alone, a cell has the ordinary t test.

    Args:
        least: no standard deviation of a loss is believed to be less: seeds may lose the same by chance.
    """
    freedoms = [float(len(losses) - 1) for losses in cells]
    variances = [_variance(losses) for losses in cells]
    # a variance of zero comes from the grain of the test set; of its logarithm nothing can be learnt
    telling = [(s2, d) for s2, d in zip(variances, freedoms, strict=True) if s2 > 0]
    prior = _prior_variance(telling)
    known = sum(d for _, d in telling)
    estimates = []
    for losses, s2, d in zip(cells, variances, freedoms, strict=True):
        d0 = min(PRIOR_FREEDOM, known - (d if s2 > 0 else 0.0))
        total = d + d0
        variance = max((d * s2 + d0 * prior) / total, least**2) if total > 0 else 0.0
        estimates.append(Estimate(float(losses.mean()), math.sqrt(variance / len(losses)), total))
    return estimates


def _variance(losses: Losses) -> float:
    """0 where all are the same: 0.89 - 0.87 and 0.91 - 0.89 differ by 1e-17, whose logarithm outweighs all others."""
    same = len(losses) < 2 or float(np.ptp(losses)) < ROUNDING
    return 0.0 if same else float(np.var(losses, ddof=1))


def _prior_variance(telling: Sequence[tuple[float, float]]) -> float:
    """s0^2 from the mean of log s^2, which under s^2 ~ s0^2 F(d, d0) is log s0^2 and known digammas."""
    if not telling:
        return 0.0
    logs = [math.log(s2) - float(special.digamma(d / 2)) + math.log(d / 2) for s2, d in telling]
    half = PRIOR_FREEDOM / 2
    return math.exp(float(np.mean(logs)) + float(special.digamma(half)) - math.log(half))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: the chance of any false one among them stays below the level."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def everywhere(cells: Sequence[Losses], least: float = 0.0) -> Estimate | None:
    """The mean loss over all cells, for losses too small to be seen in any one; None where it cannot be told.

    Its error is the larger of that over cells and that over seeds: cells of one seed begin alike and may lose alike.
    It takes two seeds of every cell and three cells. `least` is as in `moderated`.
    """
    seeds = {len(losses) for losses in cells}
    if len(cells) < 3 or len(seeds) != 1 or min(seeds) < 2:
        return None
    table = np.stack(cells)
    error = max(_error(table.mean(1)), _error(table.mean(0)), least / math.sqrt(table.size))
    return Estimate(float(table.mean()), error, len(cells) - 1.0)


def _error(means: Losses) -> float:
    return float(means.std(ddof=1)) / math.sqrt(len(means))
