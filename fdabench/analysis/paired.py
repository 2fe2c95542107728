"""Estimates the mean log ratio of paired costs, when each cost is known up to an interval and runs may miss the target.

A run that reached the target cost more than at the evaluation before the hit, and at most as much as at the hit. A run
that missed the target costs more than its limit. Assume that the log costs of the two sides of a pair, top and bottom,
have the same distribution except for a shift d. D(d) is their difference after d is subtracted from the top and both
are censored at the smaller of the two limits. Top and bottom can then be exchanged, so D(d) is symmetric about 0,
however much is censored (Honoré, Trimmed LAD and Least Squares Estimation of Truncated and Censored Regression Models
with Fixed Effects, Econometrica 60, 1992).

The confidence interval contains every d that a t test of D(d) does not reject, and every d that is possible given the
costs at the two evaluations. Without misses nothing is censored. The interval is then the t interval of the
differences, extended to the bounds that the evaluations leave open (`grid_low`, `grid_high`).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from fdabench.accounting.arrays import Floats

CONFIDENCE = 0.95
"""The confidence level of the intervals, in reports and in the gate."""
_POINTS, _ROUNDS = 33, 3
_MOST_BENDS = 64

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LogCosts:
    """The log costs of one side, with one run for each of n pairs.

    Args:
        before_n: at the evaluation before the hit; -inf if nothing had been spent by then. Ignored for misses.
        hit_n: at the hit. Ignored for misses.
        limit_n: at the end of the budget. It is finite and at least `hit_n` if the target was reached, and +inf for a
            run that never would have reached the target, as after a divergence.
        reached_n: which runs reached the target.
    """

    before_n: Floats
    hit_n: Floats
    limit_n: Floats
    reached_n: Flags

    @property
    def least_n(self) -> Floats:
        return np.where(self.reached_n, self.before_n, self.limit_n)

    @property
    def most_n(self) -> Floats:
        """The cost at the hit; for a miss, which is censored, the limit."""
        return np.where(self.reached_n, self.hit_n, self.limit_n)

    @property
    def middle_n(self) -> Floats:
        """The mean of the log costs at the two evaluations; the cost at the hit if the one before cost nothing."""
        is_finite = np.isfinite(self.before_n)
        return np.where(
            self.reached_n & is_finite, (np.where(is_finite, self.before_n, 0) + self.hit_n) / 2, self.most_n
        )


@dataclass(frozen=True)
class Design:
    """The weights of n pairs, and which of W workloads and S seeds each belongs to.

    Args:
        weight_n: the weight of each pair in the mean; the weights add up to one.
        workload_nW, seed_nS: 1 if the pair belongs to the workload or seed, else 0.
        within: degrees of freedom within workloads, n - W.
        between: degrees of freedom between seeds, S - 1.
        confidence: the level of the intervals, such as 0.95.
    """

    weight_n: Floats
    workload_nW: Floats
    seed_nS: Floats
    within: int
    between: int
    confidence: float = CONFIDENCE

    @property
    def has_chance(self) -> bool:
        """Whether there are several seeds, so that a random error can be estimated."""
        return min(self.within, self.between) > 0


def design_of(
    workloads_n: npt.NDArray[np.integer], seeds_n: npt.NDArray[np.integer], confidence: float = CONFIDENCE
) -> Design:
    """Return the design in which workloads have equal weights, and so have the pairs of a workload.

    Args:
        workloads_n: the number of each pair's workload.
        seeds_n: the seed of each pair.
        confidence: the level of the intervals.
    """
    workload_nW, seed_nS = (
        (values_n[:, None] == np.unique(values_n)).astype(float) for values_n in (workloads_n, seeds_n)
    )
    pairs, workloads = workload_nW.shape
    return Design(
        weight_n=1 / (workload_nW @ workload_nW.sum(axis=0)) / workloads,
        workload_nW=workload_nW,
        seed_nS=seed_nS,
        within=pairs - workloads,
        between=seed_nS.shape[1] - 1,
        confidence=confidence,
    )


@dataclass(frozen=True)
class Differences:
    """D(d) of n pairs: `center` - d, censored to the range from -`below` to `above`."""

    center_n: Floats
    below_n: Floats
    above_n: Floats

    def at(self, shifts_g: Floats) -> Floats:
        """Return D(d) for each of g values of d: [g, n]."""
        cut_gn: Floats = np.clip(self.center_n - shifts_g[:, None], -self.below_n, self.above_n)
        return cut_gn

    @property
    def bends(self) -> Floats:
        """The values of d at which the censoring of a pair begins or ends."""
        is_finite = np.isfinite(self.center_n)
        center, below, above = self.center_n[is_finite], self.below_n[is_finite], self.above_n[is_finite]
        ends: Floats = np.concatenate([center - above, center + below])
        finite: Floats = ends[np.isfinite(ends)]
        return finite


@dataclass(frozen=True)
class CostRange:
    """D(d) of the costs at the hits, and of other costs that the evaluations leave open.

    Args:
        measured: D(d) of the costs at the hits.
        middle: D(d) of the costs half way between the hit and the evaluation before.
        least, most: the smallest and the largest D(d) that the costs at the two evaluations allow.
    """

    measured: Differences
    middle: Differences
    least: Differences
    most: Differences


def cost_range(top: LogCosts, bottom: LogCosts) -> CostRange:
    return CostRange(
        _differences(top, bottom, top.most_n, bottom.most_n),
        _differences(top, bottom, top.middle_n, bottom.middle_n),
        _differences(top, bottom, top.least_n, bottom.most_n),
        _differences(top, bottom, top.most_n, bottom.least_n),
    )


def _differences(top: LogCosts, bottom: LogCosts, top_n: Floats, bottom_n: Floats) -> Differences:
    # A run that never reaches the target has an infinite limit. Its margin to the limit is set to 0, so that D(d) stays
    # at the margin of the other side for every d.
    below_n, above_n = (
        np.subtract(side.limit_n, cost_n, out=np.zeros_like(cost_n), where=np.isfinite(side.limit_n))
        for side, cost_n in ((top, top_n), (bottom, bottom_n))
    )
    return Differences(top_n - bottom_n, below_n, above_n)


@dataclass(frozen=True)
class PairedEstimate:
    """The estimate of the mean difference on the log scale.

    An end of an interval is infinite if the data do not bound it.

    Args:
        mean: the estimate. NaN if, because of misses, the mean of D(d) is 0 for no d.
        low, high: the confidence interval of the mean, at the level of the design; NaN if there is only one seed.
        grid_low, grid_high: the range that the evaluations and the misses leave open for the mean of these runs.
    """

    mean: float
    low: float
    high: float
    grid_low: float
    grid_high: float


def estimate(top: LogCosts, bottom: LogCosts, design: Design) -> PairedEstimate:
    """Estimate the mean over workloads of top - bottom.

    Args:
        top, bottom: the costs of the two sides of n > 0 pairs.
        design: the weights, workloads and seeds of the pairs.
    """
    span, grid = cost_range(top, bottom), _grid_bounds(top, bottom, design)
    has_misses = not (top.reached_n.all() and bottom.reached_n.all())
    mean = _zero(span.measured, design) if has_misses else float(span.measured.center_n @ design.weight_n)
    if not design.has_chance:
        return PairedEstimate(mean, math.nan, math.nan, *grid)
    return PairedEstimate(
        mean, *(_cut_interval(span, design) if has_misses else _uncut_interval(span, design, grid)), *grid
    )


def _grid_bounds(top: LogCosts, bottom: LogCosts, design: Design) -> tuple[float, float]:
    (top_low_n, top_high_n), (bottom_low_n, bottom_high_n) = (
        (np.where(side.least_n < np.inf, side.least_n, -np.inf), np.where(side.reached_n, side.hit_n, np.inf))
        for side in (top, bottom)
    )
    return (
        float((top_low_n - bottom_high_n) @ design.weight_n),
        float((top_high_n - bottom_low_n) @ design.weight_n),
    )


def _uncut_interval(span: CostRange, design: Design, grid: tuple[float, float]) -> tuple[float, float]:
    middle_n = span.middle.center_n
    mean, half = float(middle_n @ design.weight_n), float(half_widths(middle_n[None], design)[0])
    return min(mean - half, grid[0]), max(mean + half, grid[1])


def half_widths(values_gn: Floats, design: Design) -> Floats:
    """Return half the width of the t interval of the mean over workloads, for each of g rows of n values: [g].

    The standard error is estimated in two ways. Within workloads, all pairs are treated as independent. Between seeds,
    the pairs of a seed are treated as dependent, because workloads may share what a seed determines (start weights,
    batches). The larger standard error is used, with its degrees of freedom: n - W, or S - 1.
    """
    means_gW = values_gn @ (design.workload_nW / design.workload_nW.sum(axis=0))
    rest_gn = values_gn - means_gW @ design.workload_nW.T
    of_pairs = (rest_gn**2).sum(axis=1) / design.within * (design.weight_n**2).sum()
    of_seeds = (((rest_gn * design.weight_n) @ design.seed_nS) ** 2).sum(axis=1) * (1 + 1 / design.between)
    by_pairs, by_seeds = (
        float(stdtrit(freedom, (1 + design.confidence) / 2))
        for freedom in (design.within, min(design.between, design.within))
    )
    halves: Floats = np.where(of_seeds > of_pairs, by_seeds * np.sqrt(of_seeds), by_pairs * np.sqrt(of_pairs))
    return halves


def _zero(differences: Differences, design: Design) -> float:
    """The d at which the mean of D(d) is 0; NaN if the mean does not change its sign."""
    bends = np.sort(differences.bends)
    if not len(bends):
        return math.nan
    means = differences.at(bends) @ design.weight_n
    return float(np.interp(0, -means, bends)) if means[0] > 0 > means[-1] else math.nan


def _cut_interval(span: CostRange, design: Design) -> tuple[float, float]:
    """The smallest and the largest d that are not rejected; infinite if there is no bound."""
    bends = np.unique(np.concatenate([span.middle.bends, span.least.bends, span.most.bends]))
    if not len(bends):
        return -math.inf, math.inf
    # Outside the first and the last bend D(d) is constant. If there are many bends, a subset is sufficient.
    inner = bends if len(bends) <= _MOST_BENDS else np.quantile(bends, np.linspace(0, 1, _MOST_BENDS))
    zero = _zero(span.middle, design)
    shifts = np.unique([bends[0] - 1, *inner, *([zero] if math.isfinite(zero) else []), bends[-1] + 1])
    (accepted,) = np.nonzero(_accepted_shifts(span, design, shifts))
    if not len(accepted):
        return -math.inf, math.inf
    first, last = int(accepted[0]), int(accepted[-1])
    low = _edge(span, design, shifts[first - 1], shifts[first]) if first else -math.inf
    high = _edge(span, design, shifts[last + 1], shifts[last]) if last < len(shifts) - 1 else math.inf
    return low, high


def _accepted_shifts(span: CostRange, design: Design, shifts_g: Floats) -> Flags:
    """Which d are not rejected, by the t test or because the costs at the two evaluations allow them: [g]."""
    least, most = span.least.at(shifts_g) @ design.weight_n, span.most.at(shifts_g) @ design.weight_n
    values_gn = span.middle.at(shifts_g)
    by_chance = np.abs(values_gn @ design.weight_n) <= half_widths(values_gn, design) + 1e-12
    is_accepted: Flags = by_chance | ((least <= 0) & (most >= 0))
    return is_accepted


def _edge(span: CostRange, design: Design, outside: float, inside: float) -> float:
    """The end of the interval between a d that is rejected and one that is not, rounded towards the rejected one."""
    for _ in range(_ROUNDS):
        shifts = np.linspace(outside, inside, _POINTS)
        first = int(np.argmax(_accepted_shifts(span, design, shifts)))
        outside, inside = float(shifts[first - 1]), float(shifts[first])
    return outside
