"""The mean log ratio of paired costs, each known up to an interval only, with misses on either side.

A run that reached the target cost more than at the evaluation before, and at most what it cost at that evaluation. A
run that missed it costs more than its limit. Let top and bottom of a pair differ by d and else scatter alike. D(d) is
their difference after d is taken from the top and both are cut at the smaller of the two limits. Top and bottom can
then be exchanged, so D(d) is symmetric about 0, however much is cut (Honoré, Trimmed LAD and Least Squares Estimation
of Truncated and Censored Regression Models with Fixed Effects, Econometrica 60, 1992).

The interval has every d that a t test of D(d) does not reject, and every d that the evaluations leave open by
themselves. Without misses nothing is cut: it is the t interval of the differences, and at least the grid's bounds.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

CONFIDENCE = 0.95
"""Of every interval, in reports and in the gate."""
_POINTS, _ROUNDS = 33, 3
_MOST_BENDS = 64

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LogCosts:
    """Logs of what one side's runs cost, one run for each of n pairs.

    Args:
        before_n: at the evaluation before the hit; -inf where nothing had been spent by then. Read of hits only.
        hit_n: at the hit. Read of hits only.
        limit_n: at the end of the budget, finite and at least `hit_n` where the target was reached; +inf of a run that
            never would have reached it, as after a divergence.
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
        """A miss is cut at its limit."""
        return np.where(self.reached_n, self.hit_n, self.limit_n)

    @property
    def middle_n(self) -> Floats:
        """Half way between the two evaluations, on the log scale; the hit where the one before had cost nothing."""
        known = np.isfinite(self.before_n)
        return np.where(self.reached_n & known, (np.where(known, self.before_n, 0) + self.hit_n) / 2, self.most_n)


@dataclass(frozen=True)
class Design:
    """Which of n pairs share one of W workloads, and which share one of S seeds."""

    weight_n: Floats
    workload_nW: Floats
    seed_nS: Floats
    within: int
    between: int

    @property
    def has_chance(self) -> bool:
        """Whether there is a second seed to see chance by."""
        return min(self.within, self.between) > 0


def design_of(workloads_n: npt.NDArray[np.integer], seeds_n: npt.NDArray[np.integer]) -> Design:
    """Each workload counts as much as any other, each of its pairs for its part."""
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
    )


@dataclass(frozen=True)
class Differences:
    """D(d) of n pairs: `center` less d, at least -`below` and at most `above`."""

    center_n: Floats
    below_n: Floats
    above_n: Floats

    def at(self, shifts_g: Floats) -> Floats:
        """[g, n]"""
        cut_gn: Floats = np.clip(self.center_n - shifts_g[:, None], -self.below_n, self.above_n)
        return cut_gn

    @property
    def bends(self) -> Floats:
        """Every d at which one of them begins or ceases to be cut."""
        known = np.isfinite(self.center_n)
        center, below, above = self.center_n[known], self.below_n[known], self.above_n[known]
        ends: Floats = np.concatenate([center - above, center + below])
        finite: Floats = ends[np.isfinite(ends)]
        return finite


@dataclass(frozen=True)
class CostRange:
    """D(d) by the costs at the hits, by those half way to the evaluation before, and its least and its most."""

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
    # what never gets there has no room to its limit: it stays where the other's room ends, at every d
    below_n, above_n = (
        np.subtract(side.limit_n, cost_n, out=np.zeros_like(cost_n), where=np.isfinite(side.limit_n))
        for side, cost_n in ((top, top_n), (bottom, bottom_n))
    )
    return Differences(top_n - bottom_n, below_n, above_n)


@dataclass(frozen=True)
class PairedEstimate:
    """On the log scale. An end is infinite where the data leave it open, NaN where one seed tells nothing of chance.

    `low` and `high` end the 95 % interval of the mean. `grid_low` and `grid_high` are what the evaluations and the
    misses leave open for the mean of the runs at hand. `mean` is NaN where misses leave no d that balances D(d).
    """

    mean: float
    low: float
    high: float
    grid_low: float
    grid_high: float


def estimate(top: LogCosts, bottom: LogCosts, design: Design) -> PairedEstimate:
    """Mean over workloads of top - bottom, of n > 0 pairs."""
    span, grid = cost_range(top, bottom), _grid_bounds(top, bottom, design)
    missed = not (top.reached_n.all() and bottom.reached_n.all())
    mean = _zero(span.measured, design) if missed else float(span.measured.center_n @ design.weight_n)
    if not design.has_chance:
        return PairedEstimate(mean, math.nan, math.nan, *grid)
    return PairedEstimate(
        mean, *(_cut_interval(span, design) if missed else _uncut_interval(span, design, grid)), *grid
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
    """Half of the t interval of the mean over workloads, for each of g rows of n values: [g].

    The error is estimated twice: within workloads, as if all pairs were independent, and between seeds, as what a
    seed decides (start weights, batches) may be shared by all workloads. The larger one counts, with its degrees of
    freedom: n less the number of workloads, or S - 1.
    """
    means_gW = values_gn @ (design.workload_nW / design.workload_nW.sum(axis=0))
    rest_gn = values_gn - means_gW @ design.workload_nW.T
    of_pairs = (rest_gn**2).sum(axis=1) / design.within * (design.weight_n**2).sum()
    of_seeds = (((rest_gn * design.weight_n) @ design.seed_nS) ** 2).sum(axis=1) * (1 + 1 / design.between)
    by_pairs, by_seeds = (
        float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) for freedom in (design.within, min(design.between, design.within))
    )
    halves: Floats = np.where(of_seeds > of_pairs, by_seeds * np.sqrt(of_seeds), by_pairs * np.sqrt(of_pairs))
    return halves


def _zero(differences: Differences, design: Design) -> float:
    """The d at which the mean of D is 0; NaN where it is not above 0 before and below 0 after."""
    bends = np.sort(differences.bends)
    if not len(bends):
        return math.nan
    means = differences.at(bends) @ design.weight_n
    return float(np.interp(0, -means, bends)) if means[0] > 0 > means[-1] else math.nan


def _cut_interval(span: CostRange, design: Design) -> tuple[float, float]:
    """The least and the largest d that are not rejected; infinite where that holds however far it goes."""
    bends = np.unique(np.concatenate([span.middle.bends, span.least.bends, span.most.bends]))
    if not len(bends):
        return -math.inf, math.inf
    # beyond the first and the last bend nothing changes any more; between many of them a part of them is enough
    inner = bends if len(bends) <= _MOST_BENDS else np.quantile(bends, np.linspace(0, 1, _MOST_BENDS))
    zero = _zero(span.middle, design)
    shifts = np.unique([bends[0] - 1, *inner, *([zero] if math.isfinite(zero) else []), bends[-1] + 1])
    (held,) = np.nonzero(_held(span, design, shifts))
    if not len(held):
        return -math.inf, math.inf
    first, last = int(held[0]), int(held[-1])
    low = _edge(span, design, shifts[first - 1], shifts[first]) if first else -math.inf
    high = _edge(span, design, shifts[last + 1], shifts[last]) if last < len(shifts) - 1 else math.inf
    return low, high


def _held(span: CostRange, design: Design, shifts_g: Floats) -> Flags:
    """Which d are not rejected, by chance or by what the evaluations leave open: [g]."""
    least, most = span.least.at(shifts_g) @ design.weight_n, span.most.at(shifts_g) @ design.weight_n
    values_gn = span.middle.at(shifts_g)
    by_chance = np.abs(values_gn @ design.weight_n) <= half_widths(values_gn, design) + 1e-12
    held: Flags = by_chance | ((least <= 0) & (most >= 0))
    return held


def _edge(span: CostRange, design: Design, outside: float, inside: float) -> float:
    """Where between a d that is rejected and one that is not the interval ends, on its safe side."""
    for _ in range(_ROUNDS):
        shifts = np.linspace(outside, inside, _POINTS)
        first = int(np.argmax(_held(span, design, shifts)))
        outside, inside = float(shifts[first - 1]), float(shifts[first])
    return outside
