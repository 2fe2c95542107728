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

from fdabench.analysis.paired import CONFIDENCE

SUITE_ALPHA = 0.01
"""Of the tests for small losses everywhere, all of them together."""
PRIOR_DOF = 8.0
"""The most that the other cells' variances count, however alike they are: some cell may be noisier than they are."""
ROUNDING = 1e-12
"""Losses that differ by less are the same."""

Losses = npt.NDArray[np.float64]


class Prior(NamedTuple):
    """What the cells' variances are drawn around, and how many degrees of freedom that knowledge counts."""

    variance: float
    dof: float


class LossEstimate(NamedTuple):
    """A mean loss; without degrees of freedom its error is not known. An error of 0: all seeds lost the same."""

    mean: float
    error: float
    dof: float

    @property
    def has_dof(self) -> bool:
        return self.dof > 0

    def p_worse_than(self, margin: float) -> float:
        """One-sided, of the hypothesis that the true loss is at most `margin`."""
        if not self.has_dof or self.error == 0:
            return float(not self.has_dof or self.mean <= margin)
        return float(special.stdtr(self.dof, (margin - self.mean) / self.error))

    @property
    def upper(self) -> float:
        """The true loss is below this with 95 % confidence."""
        return self.mean + self._quantile(CONFIDENCE) * self.error if self.has_dof else math.inf

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, two-sided."""
        half = self._quantile((1 + CONFIDENCE) / 2) * self.error if self.has_dof else math.inf
        return self.mean - half, self.mean + half

    def _quantile(self, share: float) -> float:
        """Of Student's t; scipy.stats has it too, a hundred times slower."""
        return float(special.stdtrit(self.dof, share))


def moderated_t(cells: Sequence[Losses], least: float = 0.0) -> list[LossEstimate]:
    """Each cell's mean loss and its standard error, with a variance moderated by the variances of the other cells.

    The moderated variance is (d s^2 + d0 s0^2) / (d + d0), d = seeds - 1, on d + d0 degrees of freedom. d0 and s0^2
    are estimated from the cells' log variances (limma's method), with one standard error added to their spread: ten
    cells hardly know how much variances differ. d0 is at most 8, and at most what the *other* cells know: alone, a
    cell has the ordinary t test. A cell whose own variance is larger than the moderated one keeps its own: the others
    say nothing about a cell that is noisier than they are.

    Args:
        cells: the losses of each cell, one number for each seed.
        least: no standard deviation of a loss is believed to be less: seeds may lose the same by chance.
    """
    freedoms = [float(len(losses) - 1) for losses in cells]
    variances = [_variance(losses) for losses in cells]
    # a variance of zero comes from the grain of the test set; of its logarithm nothing can be learned
    telling = [(s2, d) for s2, d in zip(variances, freedoms, strict=True) if s2 > 0]
    prior = _prior(telling)
    known = sum(d for _, d in telling)
    estimates = []
    for losses, s2, d in zip(cells, variances, freedoms, strict=True):
        d0 = min(prior.dof, known - (d if s2 > 0 else 0.0))
        total = d + d0
        variance = max((d * s2 + d0 * prior.variance) / total, s2, least**2) if total > 0 else 0.0
        estimates.append(LossEstimate(float(losses.mean()), math.sqrt(variance / len(losses)), total))
    return estimates


def _variance(losses: Losses) -> float:
    """0 where all are the same: 0.89 - 0.87 and 0.91 - 0.89 differ by 1e-17, whose logarithm outweighs all others."""
    same = len(losses) < 2 or float(np.ptp(losses)) < ROUNDING
    return 0.0 if same else float(np.var(losses, ddof=1))


def _prior(telling: Sequence[tuple[float, float]]) -> Prior:
    """d0 and s0^2 from the variance and the mean of log s^2 (Smyth 2004, section 6.2), for s^2 ~ s0^2 F(d, d0).

    Args:
        telling: each cell's variance, above 0, and its degrees of freedom.
    """
    if not telling:
        return Prior(0.0, PRIOR_DOF)
    logs = [math.log(s2) - float(special.digamma(d / 2)) + math.log(d / 2) for s2, d in telling]
    noise = float(np.mean([special.polygamma(1, d / 2) for _, d in telling]))
    upper = 1 + math.sqrt(2 / max(1, len(logs) - 1))
    excess = upper * float(np.var(logs, ddof=1)) - noise if len(logs) > 1 else 0.0
    half = _inverse_trigamma(excess) if excess > 0 else math.inf
    mean_log = float(np.mean(logs)) + (float(special.digamma(half)) - math.log(half) if excess > 0 else 0.0)
    return Prior(math.exp(mean_log), min(PRIOR_DOF, 2 * half))


def _inverse_trigamma(value: float) -> float:
    """The x above 0 with trigamma(x) = `value`, by Newton's method on 1 / trigamma, which is convex."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += step
        if -step < 1e-8 * x:
            break
    return x


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: the chance of any false one among them stays below the level."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def suite_wide_test(cells: Sequence[Losses], least: float = 0.0) -> LossEstimate | None:
    """The mean loss over all cells, for losses too small to be seen in any one; None where it cannot be told.

    There are two standard errors of it: that over cells, on cells - 1 degrees of freedom, and that over seeds, on
    seeds - 1, which also holds where the cells of a seed lose alike because they begin alike. The one that is
    returned has the larger p-value of no loss. It takes two seeds of every cell and three cells. `least` is as in
    `moderated`.
    """
    seeds = {len(losses) for losses in cells}
    if len(cells) < 3 or len(seeds) != 1 or min(seeds) < 2:
        return None
    table = np.stack(cells)
    mean, floor = float(table.mean()), least / math.sqrt(table.size)
    both = [LossEstimate(mean, max(_error(table.mean(axis)), floor), table.shape[1 - axis] - 1.0) for axis in (0, 1)]
    return max(both, key=lambda estimate: estimate.p_worse_than(0.0))


def _error(means: Losses) -> float:
    return float(means.std(ddof=1)) / math.sqrt(len(means))
