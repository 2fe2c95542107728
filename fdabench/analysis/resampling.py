"""Computes interquartile means over many cells, with stratified bootstrap intervals.

Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS 2021.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from fdabench.accounting.arrays import Floats
from fdabench.analysis.paired import CONFIDENCE

Labels = npt.NDArray[np.generic]

SEED, RESAMPLES = 0, 2000
LEAST_SEEDS = 3
LEAST_SEEDS_DRAWN = 5
_CUT = 0.25


def interquartile_mean(values: npt.ArrayLike) -> float:
    """Return the mean of the middle half: a quarter of the values is omitted at each end. NaN without values.

    Misses may be included as infinity. The mean is finite if at most a quarter of the values are misses.

    >>> interquartile_mean([1, 2, 4, math.inf])
    3.0
    """
    array = np.asarray(values, dtype=float)
    return float(stats.trim_mean(array, _CUT)) if array.size else math.nan


def bootstrap_interval(values_n: Floats, workloads_n: Labels, seeds_n: Labels) -> tuple[float, float]:
    """Return a 95 % percentile interval of the interquartile mean of n cells, over resampled seeds.

    Seeds are resampled in two ways: independently in each workload, and jointly for all workloads, because workloads
    may share what a seed determines (start weights, batches). The interval covers both. Each sample has one seed fewer
    than there are, so that the variance of its mean is that of a mean of seeds (Rao and Wu, JASA 83, 1988).

    Args:
        values_n: one value for each workload and seed; infinite if the target was missed.
        workloads_n, seeds_n: the workload and the seed of each value.

    Returns:
        The ends of the interval. NaN if a workload has fewer than five seeds: a bootstrap interval lies within the
        range of the values, and the range of four values contains the median of their distribution in only 88 % of
        samples.
    """
    seeds, column_n = np.unique(seeds_n, return_inverse=True)
    workloads, row_n = np.unique(workloads_n, return_inverse=True)
    if not len(values_n) or np.bincount(row_n).min() < LEAST_SEEDS_DRAWN:
        return math.nan, math.nan
    table_WS = np.full((len(workloads), len(seeds)), np.nan)
    table_WS[row_n, column_n] = values_n
    random = np.random.default_rng(SEED)
    alone = np.concatenate([_resample(random, row_S[None, ~np.isnan(row_S)]) for row_S in table_WS], axis=1)
    ends = [_quantiles(alone), _quantiles(_resample(random, table_WS))]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _resample(random: np.random.Generator, table_WS: Floats) -> Floats:
    """Samples of the columns with replacement, one column fewer than there are: [samples, values]."""
    seeds = table_WS.shape[1]
    samples: Floats = table_WS[:, random.integers(0, seeds, (RESAMPLES, seeds - 1))].swapaxes(0, 1)
    return samples.reshape(RESAMPLES, -1)


def _quantiles(drawn_rn: Floats) -> tuple[float, float]:
    """The quantiles of the interquartile means of all samples; NaN values, of seeds without a cell, are ignored."""
    ordered_rn, known_r = np.sort(drawn_rn, axis=1), (~np.isnan(drawn_rn)).sum(axis=1)
    cut_r, places = (_CUT * known_r).astype(int), np.arange(drawn_rn.shape[1])
    middle_rn = (places >= cut_r[:, None]) & (places < (known_r - cut_r)[:, None])
    means = np.where(middle_rn, ordered_rn, 0).sum(axis=1) / middle_rn.sum(axis=1)
    tail = (1 - CONFIDENCE) / 2
    # A method without interpolation, because a mean may be infinite.
    low, high = np.quantile(means, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)
