"""How much cheaper, and how surely: geometric means of paired ratios, with an interval over seeds."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95
PAIR = ["suite", "workload", "seed"]


@dataclass(frozen=True)
class Ratio:
    """A geometric mean of ratios; `low` and `high` are NaN where there is no interval.

    `bound` says what misses make of it: "≥" or "≤" where a cost that was never reached stands in as what was spent.
    """

    mean: float
    low: float
    high: float
    pairs: int
    bound: str = ""
    left_out: int = 0

    @property
    def has_interval(self) -> bool:
        return math.isfinite(self.low)

    def inverse(self) -> "Ratio":
        flipped = {"≥": "≤", "≤": "≥", "": ""}[self.bound]
        return Ratio(1 / self.mean, 1 / self.high, 1 / self.low, self.pairs, flipped, self.left_out)


NO_RATIO = Ratio(math.nan, math.nan, math.nan, 0)


def geometric_mean(values: "pd.Series[float]") -> float:
    """NaN of nothing."""
    known = values.dropna()
    if known.empty:
        return math.nan
    with np.errstate(divide="ignore"):  # scipy's gmean, without its checks: a report asks ten thousand times
        return float(np.exp(np.log(known.to_numpy(float)).mean()))


def mean_interval(values: npt.NDArray[np.float64], strata: npt.NDArray[np.integer]) -> tuple[float, float, float]:
    """Mean over strata of the strata's means, with a t interval: strata are fixed, what varies in them is chance.

    One stratum gives the ordinary t interval. The variance is pooled within strata, on N - (number of strata) degrees
    of freedom, so how workloads differ is not mistaken for noise.
    """
    groups = [values[strata == stratum] for stratum in np.unique(strata)]
    mean = float(np.mean([group.mean() for group in groups]))
    freedom = len(values) - len(groups)
    if freedom < 1:
        return mean, math.nan, math.nan
    pooled = sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / freedom
    error = math.sqrt(pooled * sum(1 / len(group) for group in groups)) / len(groups)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    return mean, mean - half, mean + half


def paired_ratio(top: pd.DataFrame, bottom: pd.DataFrame, cost: str) -> Ratio:
    """Geometric mean of top / bottom over the cells that share workload and seed.

    Args:
        top, bottom: rows with suite, workload, seed, reached and `cost`: what it took, or where missed what was spent
            (NaN where that bounds nothing, as after a divergence). Pairs with a cost of 0 are left out.
    A miss on one side makes the ratio a bound; misses on both sides leave only the pairs that both reached.
    """
    wanted = [*PAIR, "reached", cost]
    return ratio_of(top[wanted].merge(bottom[wanted], on=PAIR, suffixes=("_t", "_b")), cost)


def ratio_of(pairs: pd.DataFrame, cost: str) -> Ratio:
    """The same, of pairs that are made: columns of the top end in `_t`, of the bottom in `_b`."""
    known = pairs[pairs["reached_t"] | pairs["reached_b"]]
    top_missed, bottom_missed = bool((~known["reached_t"]).any()), bool((~known["reached_b"]).any())
    if top_missed and bottom_missed:
        known = known[known["reached_t"] & known["reached_b"]]
    # NaN, and what costs nothing, as one worker in a ring, is in no proportion to anything
    usable = known[(known[f"{cost}_t"] > 0) & (known[f"{cost}_b"] > 0)]
    if usable.empty:
        return NO_RATIO
    bound = "" if top_missed == bottom_missed else "≥" if top_missed else "≤"
    logs = np.log(usable[f"{cost}_t"].to_numpy(float) / usable[f"{cost}_b"].to_numpy(float))
    strata = usable.groupby(["suite", "workload"], sort=False).ngroup().to_numpy()
    mean, low, high = (math.exp(value) for value in mean_interval(logs, strata))
    return Ratio(mean, low, high, len(usable), bound, len(pairs) - len(usable))
