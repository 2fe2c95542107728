"""Computes performance profiles: how often the cost of a strategy is within a factor of the lowest cost.

Dolan and Moré, Benchmarking optimization software with performance profiles, Mathematical Programming 91, 2002.
"""

import math

import numpy as np
import pandas as pd

from fdabench.accounting.arrays import Floats
from fdabench.analysis.stats import PAIR


def ratios_to_best(outcomes: pd.DataFrame, cost: str) -> pd.DataFrame:
    """Return the outcomes with the column `ratio`: the cost divided by the lowest of the same workload and seed.

    The ratio is infinite if the target was missed. A pair of workload and seed is omitted if no strategy reached the
    target, if one reached it at no cost, or if only one strategy has a result.

    Args:
        outcomes: rows at one target for each workload.
        cost: the name of the column with the cost.
    """
    priced = outcomes.assign(paid=outcomes[cost].astype(float).where(outcomes["reached"].astype(bool), math.inf))
    by_pair = priced.groupby(PAIR)
    best, rivals = by_pair["paid"].transform("min"), by_pair["label"].transform("nunique")
    compared = priced[np.isfinite(best) & (best > 0) & (rivals > 1)]
    ratios: pd.DataFrame = compared.assign(ratio=compared["paid"] / best[compared.index]).drop(columns="paid")
    return ratios


def workload_weights(rows: pd.DataFrame) -> Floats:
    """Return weights of the rows. Workloads have equal weights, and so have the seeds of a workload; the sum is 1."""
    of_workload = rows.groupby(["suite", "workload"])["ratio"].transform("size").to_numpy(float)
    return 1 / of_workload / rows.groupby(["suite", "workload"]).ngroups


def profile(rows: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return the profile of one strategy.

    Returns:
        Factors in rising order, and for each the weighted fraction of workloads and seeds with at most that ratio.
    """
    ratios, weights = rows["ratio"].to_numpy(float), workload_weights(rows)
    factors = np.unique(ratios[np.isfinite(ratios)])
    return factors, np.array([weights[ratios <= factor].sum() for factor in factors])


def log2_range(ratios: pd.DataFrame) -> float:
    """Return log2 of the largest finite ratio; 1 if all ratios are 1."""
    finite = ratios.loc[np.isfinite(ratios["ratio"]), "ratio"]
    return (math.log2(float(finite.max())) if len(finite) else 0.0) or 1.0


def profile_area(rows: pd.DataFrame, doublings: float) -> float:
    """Return the mean height of a strategy's profile over log2 of the factor, from 0 to `doublings`.

    It is 1 if the strategy always has the lowest cost.
    """
    under = np.clip(1 - np.log2(rows["ratio"].to_numpy(float)) / doublings, 0, None)
    return float((under * workload_weights(rows)).sum())
