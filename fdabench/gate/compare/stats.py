"""Tests whether a noisy metric is worse by more than a margin.

The test is paired over seeds, moderates the variance over cells, and adjusts p-values over cells by Holm's method. A
*loss* is the difference after - before of one seed of one cell, with the sign such that positive is worse. Three seeds
give a poor estimate of the variance, so the estimate of a cell also uses the variances of the other cells of the suite
(Smyth 2004, limma's moderated t).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from fdabench.analysis.paired import CONFIDENCE

SUITE_ALPHA = 0.01
"""The level of the tests over all cells, for all metrics together."""
PRIOR_DOF = 8.0
"""The maximum degrees of freedom of the other cells' variances. It is limited because one cell may be noisier."""
ROUNDING = 1e-12
"""Losses that differ by less than this are considered equal."""

Losses = npt.NDArray[np.float64]


class Prior(NamedTuple):
    """The prior distribution of the cells' variances: its scale and its degrees of freedom."""

    variance: float
    dof: float


class LossEstimate(NamedTuple):
    """A mean loss and its standard error.

    Without degrees of freedom the error is unknown. An error of 0 means that all seeds have the same loss.
    """

    mean: float
    error: float
    dof: float

    @property
    def has_dof(self) -> bool:
        return self.dof > 0

    def p_worse_than(self, margin: float) -> float:
        """Return the one-sided p-value of the hypothesis that the true loss is at most `margin`."""
        if not self.has_dof or self.error == 0:
            return float(not self.has_dof or self.mean <= margin)
        return float(special.stdtr(self.dof, (margin - self.mean) / self.error))

    @property
    def upper(self) -> float:
        """The one-sided upper 95 % confidence limit of the true loss."""
        return self.mean + self._quantile(CONFIDENCE) * self.error if self.has_dof else math.inf

    @property
    def interval(self) -> tuple[float, float]:
        """The two-sided 95 % confidence interval."""
        half = self._quantile((1 + CONFIDENCE) / 2) * self.error if self.has_dof else math.inf
        return self.mean - half, self.mean + half

    def _quantile(self, share: float) -> float:
        """A quantile of Student's t distribution. The function of scipy.stats is a hundred times slower."""
        return float(special.stdtrit(self.dof, share))


def moderated_t(cells: Sequence[Losses], least: float = 0.0) -> list[LossEstimate]:
    """Return each cell's mean loss and its standard error, with a variance moderated by those of the other cells.

    The moderated variance is (d s^2 + d0 s0^2) / (d + d0), d = seeds - 1, with d + d0 degrees of freedom. d0 and s0^2
    are estimated from the cells' log variances (limma's method). One standard error is added to their spread, because
    ten cells give a poor estimate of how much variances differ. d0 is at most 8, and at most the degrees of freedom of
    the *other* cells, so a single cell gets the ordinary t test. A cell whose own variance is larger than the moderated
    one keeps its own, because it may be noisier than the other cells.

    Args:
        cells: the losses of each cell, one number for each seed.
        least: the minimum of the standard deviation of a loss; several seeds may have the same loss by chance.
    """
    freedoms = [float(len(losses) - 1) for losses in cells]
    variances = [_variance(losses) for losses in cells]
    # A variance of zero results from the finite size of the test set. Its logarithm would be -inf, so it is omitted.
    informative = [(s2, d) for s2, d in zip(variances, freedoms, strict=True) if s2 > 0]
    prior = _prior(informative)
    total_dof = sum(d for _, d in informative)
    estimates = []
    for losses, s2, d in zip(cells, variances, freedoms, strict=True):
        d0 = min(prior.dof, total_dof - (d if s2 > 0 else 0.0))
        total = d + d0
        variance = max((d * s2 + d0 * prior.variance) / total, s2, least**2) if total > 0 else 0.0
        estimates.append(LossEstimate(float(losses.mean()), math.sqrt(variance / len(losses)), total))
    return estimates


def _variance(losses: Losses) -> float:
    """The variance; 0 if all losses are equal except for rounding errors.

    For example, 0.89 - 0.87 and 0.91 - 0.89 differ by 1e-17, whose logarithm would outweigh all others.
    """
    is_constant = len(losses) < 2 or float(np.ptp(losses)) < ROUNDING
    return 0.0 if is_constant else float(np.var(losses, ddof=1))


def _prior(informative: Sequence[tuple[float, float]]) -> Prior:
    """d0 and s0^2 from the variance and the mean of log s^2 (Smyth 2004, section 6.2), for s^2 ~ s0^2 F(d, d0).

    Args:
        informative: each cell's variance, above 0, and its degrees of freedom.
    """
    if not informative:
        return Prior(0.0, PRIOR_DOF)
    logs = [math.log(s2) - float(special.digamma(d / 2)) + math.log(d / 2) for s2, d in informative]
    noise = float(np.mean([special.polygamma(1, d / 2) for _, d in informative]))
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
    """Return p-values adjusted by Holm's method, which controls the family-wise error rate.

    >>> holm([0.01, 0.5, 0.02])
    [0.03, 0.5, 0.04]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def suite_wide_test(cells: Sequence[Losses], least: float = 0.0) -> LossEstimate | None:
    """Return the mean loss over all cells, which detects losses that are too small to be detected in a single cell.

    Its standard error is estimated in two ways: over cells, with cells - 1 degrees of freedom, and over seeds, with
    seeds - 1. The second is also valid if the cells of a seed have similar losses because they start from the same
    weights. The estimate with the larger p-value of no loss is returned.

    Args:
        cells: the losses of each cell, one number for each seed.
        least: as in `moderated_t`.

    Returns:
        The estimate; None for fewer than three cells, fewer than two seeds, or cells with different numbers of seeds.
    """
    seeds = {len(losses) for losses in cells}
    if len(cells) < 3 or len(seeds) != 1 or min(seeds) < 2:
        return None
    table = np.stack(cells)
    mean, floor = float(table.mean()), least / math.sqrt(table.size)
    estimates = [
        LossEstimate(mean, max(_error(table.mean(axis)), floor), table.shape[1 - axis] - 1.0) for axis in (0, 1)
    ]
    return max(estimates, key=lambda estimate: estimate.p_worse_than(0.0))


def _error(means: Losses) -> float:
    return float(means.std(ddof=1)) / math.sqrt(len(means))
