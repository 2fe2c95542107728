"""The middle of many cells, and how far chance moves it: interquartile means with stratified bootstrap intervals.

Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS 2021.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from fdabench.report.paired import CONFIDENCE

Floats = npt.NDArray[np.float64]

SEED, RESAMPLES = 0, 2000
LEAST_SEEDS = 3
_CUT = 0.25


def interquartile_mean(values: npt.ArrayLike) -> float:
    """Mean of the middle half: a quarter of the values is left out at each end. NaN of nothing.

    Misses may stand in as infinity: the mean is a number as long as they fill no more than the upper quarter.
    """
    known = np.asarray(values, dtype=float)
    return float(stats.trim_mean(known, _CUT)) if known.size else math.nan


def stratified_interval(strata: Sequence[Floats]) -> tuple[float, float]:
    """A 95 % percentile interval of the interquartile mean of all values; seeds are drawn anew within each workload.

    NaN where a workload has fewer than three seeds: two of them can be drawn in three ways, which tells nothing.
    """
    if not strata or min(len(values) for values in strata) < LEAST_SEEDS:
        return math.nan, math.nan

    random = np.random.default_rng(SEED)
    drawn = np.concatenate([random.choice(values, (RESAMPLES, len(values))) for values in strata], axis=1)
    tail = (1 - CONFIDENCE) / 2
    # no interpolation, as between a number and infinity there is none
    low, high = np.quantile(stats.trim_mean(drawn, _CUT, axis=1), [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)
