"""Cost to the target where some cells never reached it: a miss says that the cost is more than what was spent.

Kaplan and Meier, Nonparametric Estimation from Incomplete Observations, JASA 53, 1958.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Course = tuple[npt.ArrayLike, npt.ArrayLike]
"""Of one strategy's cells: what each had spent, and whether it had reached the target by then."""


def attainment(spent: npt.ArrayLike, reached: npt.ArrayLike) -> tuple[Floats, Floats]:
    """The share of cells that have reached the target by each cost, with the costs at which it grows.

    A cell that missed counts among those that may still reach it up to what it spent, and for nothing after.
    """
    costs, hit = np.asarray(spent, dtype=float), np.asarray(reached, dtype=bool)
    if not hit.any():
        return np.array([]), np.array([])
    curve = stats.ecdf(stats.CensoredData(uncensored=costs[hit], right=costs[~hit])).cdf
    known = np.isin(curve.quantiles, costs[hit])
    return curve.quantiles[known], curve.probabilities[known]


def restricted_mean(spent: npt.ArrayLike, reached: npt.ArrayLike, limit: float) -> float:
    """Mean of min(cost, limit): the area under the share that has not reached the target yet. NaN where nobody did."""
    costs, shares = attainment(spent, reached)
    if not costs.size:
        return math.nan
    inside = costs < limit
    edges = np.concatenate([[0.0], costs[inside], [limit]])
    left = 1 - np.concatenate([[0.0], shares[inside]])
    return float((np.diff(edges) * left).sum())


def common_limit(courses: Sequence[Course]) -> float:
    """Up to where each strategy's share is known: the least of what those spent that missed, else the largest cost.

    A strategy whose cells all reached the target is known everywhere; of the others the longest cell is the last
    known. Strategies that never reached it have no share to average, and would stop the others at what they spent.
    NaN where nobody reached it.
    """
    some = [course for course in courses if np.any(course[1])]
    if not some:
        return math.nan
    longest = [float(np.max(np.asarray(spent, dtype=float))) for spent, _ in some]
    open_ended = [end for end, (_, reached) in zip(longest, some, strict=True) if not np.all(reached)]
    return min(open_ended) if open_ended else max(longest)
