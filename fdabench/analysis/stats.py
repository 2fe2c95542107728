"""How much cheaper, and how surely: geometric means of paired ratios, with an interval over seeds."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from fdabench.analysis.paired import LogCosts, PairedEstimate, design_of, estimate

PAIR = ["suite", "workload", "seed"]


@dataclass(frozen=True)
class Ratio:
    """A geometric mean of ratios with its 95 % interval, or the one limit of it that misses leave.

    Args:
        mean: the geometric mean; with a bound, the limit: the number to print.
        low, high: ends of the 95 % interval. With "≥" `low` is a one-sided 97.5 % limit, and `high` is NaN; with "≤"
            the other way round. Both are NaN where there is one seed and nothing was missed.
        pairs: pairs of workload and seed that tell something: one side at least reached the target.
        bound: "≥" or "≤" where the data leave the other end open; the truth may then be infinite, or 0.
        left_out: pairs that tell nothing, `neither` among them.
        neither: pairs in which both sides missed the target.
        seeds: how many seeds the pairs have. From one there is no limit that chance is in: a bound is of these runs.
        grid_low, grid_high: what the evaluations alone leave open for the runs at hand; NaN where they leave it open.
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
        """Whether it has both ends."""
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
    """The geometric mean of what is no NaN; NaN where nothing is."""
    known = pd.Series(values).dropna()
    if known.empty:
        return math.nan
    # as gmean of scipy without its checks: a report asks ten thousand times
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.exp(np.log(known.to_numpy(float)).mean()))


def columns_of(cost: str) -> list[str]:
    """What a ratio reads of an outcome beside its axes: the cost, and what it is known to lie between."""
    return ["reached", cost, f"{cost}_before", f"{cost}_limit"]


def paired_ratio(top: pd.DataFrame, bottom: pd.DataFrame, cost: str) -> Ratio:
    """Geometric mean of top / bottom over the cells that share workload and seed.

    Args:
        top, bottom: rows with suite, workload, seed and the columns of `columns_of`: `reached`; `cost`, what it took,
            or what was spent without reaching the target, NaN where it never would have been reached, as after a
            divergence; `cost_before`, by the evaluation before the hit; `cost_limit`, by the end of the budget.
    A pair in which both missed tells nothing, and neither does one in which something cost 0.
    """
    wanted = [*PAIR, *columns_of(cost)]
    return ratio_of(top[wanted].merge(bottom[wanted], on=PAIR, suffixes=("_t", "_b")), cost)


def ratio_of(pairs: pd.DataFrame, cost: str) -> Ratio:
    """The same, of pairs that are made: columns of the top end in `_t`, of the bottom in `_b`."""
    reached = pairs["reached_t"].to_numpy(bool) | pairs["reached_b"].to_numpy(bool)
    # what costs nothing, as one worker in a ring, is in no proportion to anything; NaN is what never got there
    priced = ~((pairs[f"{cost}_t"].to_numpy(float) <= 0) | (pairs[f"{cost}_b"].to_numpy(float) <= 0))
    numbers: dict[tuple[object, object], int] = {}  # pandas groups in half a millisecond, and a report asks thousands
    named = zip(pairs["suite"], pairs["workload"], strict=True)
    places = np.array([numbers.setdefault(name, len(numbers)) for name in named], dtype=int)
    # where a workload has a pair that tells something, its others tell that it is rare
    kept = priced & np.isin(places, places[priced & reached])
    told, neither = int((priced & reached).sum()), int((~reached).sum())
    if not told:
        return NO_RATIO
    usable = pairs if kept.all() else pairs[kept]
    design = design_of(places[kept], usable["seed"].to_numpy())
    top, bottom = (_log_costs(usable, cost, side) for side in "tb")
    found = estimate(top, bottom, design)
    blank = Ratio(math.nan, math.nan, math.nan, told, "", len(pairs) - told, neither, design.between + 1)
    return _ratio(_limited(found, top, bottom), blank)


def _limited(found: PairedEstimate, top: LogCosts, bottom: LogCosts) -> PairedEstimate:
    """The estimate without an end that a miss of one side leaves open: what was never reached may cost anything.

    So a strategy that missed gets "at least" and never "at most", which would read as an advantage. Where both sides
    missed, the ends are those of the estimate.
    """
    if not top.reached_n.all() and bottom.reached_n.all():
        return replace(found, high=math.inf if math.isfinite(found.high) else found.high)
    if not bottom.reached_n.all() and top.reached_n.all():
        return replace(found, low=-math.inf if math.isfinite(found.low) else found.low)
    return found


def _ratio(found: PairedEstimate, blank: Ratio) -> Ratio:
    """What an estimate allows to say, on the scale of costs: an interval, one limit, or nothing."""
    grid_low, grid_high = (
        math.exp(end) if math.isfinite(end) else math.nan for end in (found.grid_low, found.grid_high)
    )
    known = replace(blank, grid_low=grid_low, grid_high=grid_high)
    least, most = (found.grid_low, found.grid_high) if math.isnan(found.low) else (found.low, found.high)
    if math.isfinite(least) and math.isfinite(most):
        if math.isnan(found.mean):  # runs that never get there outweigh whatever the others say
            return NO_RATIO
        return replace(known, mean=math.exp(found.mean), low=math.exp(found.low), high=math.exp(found.high))
    if math.isfinite(least):
        return replace(known, mean=math.exp(least), low=math.exp(least), bound="≥")
    if math.isfinite(most):
        return replace(known, mean=math.exp(most), high=math.exp(most), bound="≤")
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
