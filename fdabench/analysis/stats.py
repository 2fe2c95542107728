"""Computes geometric means of paired cost ratios, with confidence intervals over seeds."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from fdabench.analysis.paired import LogCosts, PairedEstimate, design_of, estimate

PAIR = ["suite", "workload", "seed"]


@dataclass(frozen=True)
class Ratio:
    """A geometric mean of ratios with its 95 % interval, or with one end of it if misses leave the other open.

    Args:
        mean: the number to print: the geometric mean or, with a bound, the bound.
        low, high: ends of the 95 % interval. With "≥" `low` is a one-sided 97.5 % limit and `high` is NaN; with "≤" the
            reverse. Both are NaN if there is one seed and nothing was missed.
        pairs: pairs of workload and seed that are informative: at least one side reached the target.
        bound: "≥" or "≤" if the data leave the other end open; the true ratio may then be infinite, or 0.
        left_out: pairs that are not informative, including `neither`.
        neither: pairs in which both sides missed the target.
        seeds: how many seeds the pairs have. With one seed, a bound does not include random error; it holds for these
            runs only.
        grid_low, grid_high: the range that the evaluations leave open for these runs; an end is NaN if it is unbounded.
    """

    mean: float
    low: float
    high: float
    pairs: int
    bound: str = ""
    left_out: int = 0
    neither: int = 0
    seeds: int = 0
    grid_low: float = math.nan
    grid_high: float = math.nan

    @property
    def has_interval(self) -> bool:
        """Whether the interval has both ends."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def inverse(self) -> "Ratio":
        flipped = {"≥": "≤", "≤": "≥", "": ""}[self.bound]
        return replace(
            self,
            mean=1 / self.mean,
            low=1 / self.high,
            high=1 / self.low,
            bound=flipped,
            grid_low=1 / self.grid_high,
            grid_high=1 / self.grid_low,
        )


NO_RATIO = Ratio(math.nan, math.nan, math.nan, 0)


def geometric_mean(values: "pd.Series[float] | npt.NDArray[np.float64]") -> float:
    """Return the geometric mean of the values that are not NaN; NaN if there are none."""
    present = pd.Series(values).dropna()
    if present.empty:
        return math.nan
    # The same as scipy's gmean without its checks, which are slow: a report calls this ten thousand times.
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.exp(np.log(present.to_numpy(float)).mean()))


def columns_of(cost: str) -> list[str]:
    """Return the columns of an outcome that a ratio needs besides its axes: the cost and its bounds."""
    return ["reached", cost, f"{cost}_before", f"{cost}_limit"]


def paired_ratio(top: pd.DataFrame, bottom: pd.DataFrame, cost: str) -> Ratio:
    """Return the geometric mean of top / bottom over the cells that have workload and seed in common.

    A pair in which both sides missed the target, or in which one cost 0, is not informative.

    Args:
        top, bottom: rows with suite, workload, seed and the columns of `columns_of`. These are `reached`; the cost to
            the target, or the cost spent without reaching it, NaN if it never would have been reached, as after a
            divergence; `..._before`, the cost at the evaluation before the hit; and `..._limit`, at the end of the
            budget.
        cost: the name of the column with the cost.
    """
    columns = [*PAIR, *columns_of(cost)]
    return ratio_of(top[columns].merge(bottom[columns], on=PAIR, suffixes=("_t", "_b")), cost)


def ratio_of(pairs: pd.DataFrame, cost: str) -> Ratio:
    """Return the same as `paired_ratio` for rows that are joined.

    Args:
        pairs: a row for each pair; columns of the top end in `_t`, those of the bottom in `_b`.
        cost: the name of the column with the cost, without the ending.
    """
    reached = pairs["reached_t"].to_numpy(bool) | pairs["reached_b"].to_numpy(bool)
    # There is no ratio to a cost of 0, as of one worker in a ring. NaN means that a run never reaches the target.
    priced = ~((pairs[f"{cost}_t"].to_numpy(float) <= 0) | (pairs[f"{cost}_b"].to_numpy(float) <= 0))
    numbers: dict[tuple[object, object], int] = {}  # groupby would take 0.5 ms, and a report has thousands of ratios
    workloads = zip(pairs["suite"], pairs["workload"], strict=True)
    places = np.array([numbers.setdefault(name, len(numbers)) for name in workloads], dtype=int)
    # If a workload has an informative pair, its pairs in which both sides missed the target count as well.
    is_usable = priced & np.isin(places, places[priced & reached])
    informative, neither = int((priced & reached).sum()), int((~reached).sum())
    if not informative:
        return NO_RATIO
    usable = pairs if is_usable.all() else pairs[is_usable]
    design = design_of(places[is_usable], usable["seed"].to_numpy())
    top, bottom = (_log_costs(usable, cost, side) for side in "tb")
    log_estimate = estimate(top, bottom, design)
    blank = Ratio(math.nan, math.nan, math.nan, informative, "", len(pairs) - informative, neither, design.between + 1)
    return _ratio(_with_open_ends(log_estimate, top, bottom), blank)


def _with_open_ends(log_estimate: PairedEstimate, top: LogCosts, bottom: LogCosts) -> PairedEstimate:
    """The estimate, with an infinite end if only one side has misses, because a miss has no upper bound of its cost.

    A strategy that missed therefore gets "at least" and never "at most", which would read as an advantage. If both
    sides have misses, the ends are those of the estimate.
    """
    if not top.reached_n.all() and bottom.reached_n.all():
        return replace(log_estimate, high=math.inf if math.isfinite(log_estimate.high) else log_estimate.high)
    if not bottom.reached_n.all() and top.reached_n.all():
        return replace(log_estimate, low=-math.inf if math.isfinite(log_estimate.low) else log_estimate.low)
    return log_estimate


def _ratio(log_estimate: PairedEstimate, blank: Ratio) -> Ratio:
    """The estimate converted from logarithms to ratios, with an interval, one bound, or no result."""
    grid_low, grid_high = (
        math.exp(end) if math.isfinite(end) else math.nan for end in (log_estimate.grid_low, log_estimate.grid_high)
    )
    with_grid = replace(blank, grid_low=grid_low, grid_high=grid_high)
    least, most = (
        (log_estimate.grid_low, log_estimate.grid_high)
        if math.isnan(log_estimate.low)
        else (log_estimate.low, log_estimate.high)
    )
    if math.isfinite(least) and math.isfinite(most):
        if math.isnan(log_estimate.mean):  # too many runs never reach the target
            return NO_RATIO
        return replace(
            with_grid,
            mean=math.exp(log_estimate.mean),
            low=math.exp(log_estimate.low),
            high=math.exp(log_estimate.high),
        )
    if math.isfinite(least):
        return replace(with_grid, mean=math.exp(least), low=math.exp(least), bound="≥")
    if math.isfinite(most):
        return replace(with_grid, mean=math.exp(most), high=math.exp(most), bound="≤")
    return NO_RATIO


def _log_costs(pairs: pd.DataFrame, cost: str, side: str) -> LogCosts:
    paid, before, limit = (
        pairs[f"{name}_{side}"].to_numpy(float) for name in (cost, f"{cost}_before", f"{cost}_limit")
    )
    reached = pairs[f"reached_{side}"].to_numpy(bool)
    ended = np.where(reached, np.fmax(limit, paid), np.where(np.isnan(paid), np.inf, paid))
    with np.errstate(divide="ignore"):
        return LogCosts(
            before_n=np.log(np.where(reached & (before > 0), before, 0)),
            hit_n=np.log(np.where(reached, paid, 1)),
            limit_n=np.log(ended),
            reached_n=reached,
        )
