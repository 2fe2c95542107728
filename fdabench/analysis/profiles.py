"""Performance profiles: how often a strategy comes within a factor of the cheapest.

Dolan and Moré, Benchmarking optimization software with performance profiles, Mathematical Programming 91, 2002.
"""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from fdabench.analysis.stats import PAIR

Floats = npt.NDArray[np.float64]


def ratios_to_best(outcomes: pd.DataFrame, cost: str) -> pd.DataFrame:
    """`outcomes` with `ratio`: the cost divided by the least of the same workload and seed; infinite where missed.

    Pairs of workload and seed that nobody reached, that somebody reached for nothing, or that one strategy alone has a
    result in, are left out.
    """
    known = outcomes.assign(paid=outcomes[cost].astype(float).where(outcomes["reached"].astype(bool), math.inf))
    same = known.groupby(PAIR)
    best, company = same["paid"].transform("min"), same["label"].transform("nunique")
    compared = known[np.isfinite(best) & (best > 0) & (company > 1)]
    found: pd.DataFrame = compared.assign(ratio=compared["paid"] / best[compared.index]).drop(columns="paid")
    return found


def workload_weights(mine: pd.DataFrame) -> Floats:
    """Each workload counts as much as any other, each of its seeds for its part; they add up to one."""
    of_workload = mine.groupby(["suite", "workload"])["ratio"].transform("size").to_numpy(float)
    return 1 / of_workload / mine.groupby(["suite", "workload"]).ngroups


def profile(mine: pd.DataFrame) -> tuple[Floats, Floats]:
    """Of one strategy: factors in rising order, and the fraction of workloads on which its ratio is at most that."""
    ratios, weights = mine["ratio"].to_numpy(float), workload_weights(mine)
    factors = np.unique(ratios[np.isfinite(ratios)])
    return factors, np.array([weights[ratios <= factor].sum() for factor in factors])


def log2_range(ratios: pd.DataFrame) -> float:
    """log2 of the largest factor that anybody needed; where all were the best, one doubling."""
    finite = ratios.loc[np.isfinite(ratios["ratio"]), "ratio"]
    return (math.log2(float(finite.max())) if len(finite) else 0.0) or 1.0


def profile_area(mine: pd.DataFrame, doublings: float) -> float:
    """Mean height of a strategy's profile over log2 of the factor from 0 to `doublings`: 1 where it is always best."""
    under = np.clip(1 - np.log2(mine["ratio"].to_numpy(float)) / doublings, 0, None)
    return float((under * workload_weights(mine)).sum())
