"""When cells reached the target, where some never did: a miss says that it takes more steps than were made.

Kaplan and Meier, Nonparametric Estimation from Incomplete Observations, JASA 53, 1958.

All of it is on the axis of steps. A run is cut at a step that the suite set beforehand, so what is cut says nothing of
when the target would have been reached. On an axis of costs it does: who spends faster is cut at a larger cost, and
the Kaplan-Meier estimator is biased (Lin et al., Biometrics 53, 1997; Zhao et al., Statistics in Medicine 30, 2011).
Bytes are therefore summed up to a step that all cells are known to (`robust.restricted_frame`), and have no curve here.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]


def kaplan_meier(steps: npt.ArrayLike, reached: npt.ArrayLike) -> tuple[Floats, Floats]:
    """The share of cells that have reached the target by each step, with the steps at which it grows.

    A cell that missed counts among those that may still reach it up to the steps that it made, and for nothing after.
    """
    made, hit = np.asarray(steps, dtype=float), np.asarray(reached, dtype=bool)
    if not hit.any():
        return np.array([]), np.array([])
    curve = stats.ecdf(stats.CensoredData(uncensored=made[hit], right=made[~hit])).cdf
    known = np.isin(curve.quantiles, made[hit])
    return curve.quantiles[known], curve.probabilities[known]


def common_end(steps: npt.ArrayLike, reached: npt.ArrayLike) -> float:
    """The step up to which every cell is known: the least that one made which missed, else the largest at a hit.

    Args:
        steps: of each cell, to the target, or made without reaching it; NaN of one that never gets there.
    """
    made, hit = np.asarray(steps, dtype=float), np.asarray(reached, dtype=bool)
    open_ended = made[~hit & ~np.isnan(made)]
    if len(open_ended):
        return float(open_ended.min())
    return float(made[hit].max()) if hit.any() else math.nan
