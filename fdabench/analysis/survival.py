"""Estimates the distribution of the steps to a target, when some cells missed it (censored data).

Kaplan and Meier, Nonparametric Estimation from Incomplete Observations, JASA 53, 1958.

A miss means that the target takes more steps than the cell ran. All estimates are in steps. The suite sets the step at
which a run ends, so the censoring does not depend on when the target would have been reached. In bytes it does: a
strategy that spends more per step is censored at a larger cost, and the Kaplan-Meier estimator is biased (Lin et al.,
Biometrics 53, 1997; Zhao et al., Statistics in Medicine 30, 2011). There is therefore no curve for bytes. They are
summed up to a step up to which all cells are known (`report.tables.robust.restricted_frame`).
"""

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from fdabench.accounting.arrays import Floats


def kaplan_meier(steps: npt.ArrayLike, reached: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return the estimated fraction of cells that have reached the target by each step.

    A cell that missed the target is at risk up to the steps that it made, and is not counted after them.

    Args:
        steps: the steps to the target, or the steps made by a cell that missed it.
        reached: whether each cell reached the target.

    Returns:
        The steps at which the fraction increases, and the fraction at each of them.
    """
    made, hit = np.asarray(steps, dtype=float), np.asarray(reached, dtype=bool)
    if not hit.any():
        return np.array([]), np.array([])
    curve = stats.ecdf(stats.CensoredData(uncensored=made[hit], right=made[~hit])).cdf
    at_hits = np.isin(curve.quantiles, made[hit])
    return curve.quantiles[at_hits], curve.probabilities[at_hits]


def common_end(steps: npt.ArrayLike, reached: npt.ArrayLike) -> float:
    """Return the step up to which the outcome of every cell is known.

    It is the fewest steps of a cell that missed the target; if none missed it, the most steps to the target.

    Args:
        steps: the steps to the target, or the steps made by a cell that missed it; NaN if it never reaches it.
        reached: whether each cell reached the target.

    >>> common_end([100, 300, 200], [True, True, False])
    200.0
    """
    made, hit = np.asarray(steps, dtype=float), np.asarray(reached, dtype=bool)
    open_ended = made[~hit & ~np.isnan(made)]
    if len(open_ended):
        return float(open_ended.min())
    return float(made[hit].max()) if hit.any() else math.nan
