"""How the length of rounds depends on the learning rate: the slope of log(steps) on log(lr).

While workers drift apart by noise, the variance of a round of h steps at learning rate lr grows as lr^2 h, so a fixed
theta ends it after h ~ lr^-2 steps: the quadratic synchronization rule, slope -2. While they follow different gradients
it grows as (lr h)^2, so h ~ lr^-1: slope -1. Nothing else may change in training for this to hold.
"""

import numpy as np
import pandas as pd

BINS = 8
"""Intervals of equal width in log(lr). Short rounds are many and long ones few; each interval counts once."""
MIN_BINS, MIN_RATIO = 3, 2.0
"""There is no slope with fewer intervals that have rounds, or if the learning rate falls by less than this factor."""


def mean_round_lengths(rounds: pd.DataFrame) -> pd.DataFrame:
    """The mean length of the rounds in each interval of learning rates, in the order of the learning rate.

    Args:
        rounds: rows of the table `rounds`, with `steps` and `lr`; those without a positive `lr` are left out.

    Returns:
        A frame with `lr` (the geometric mean over steps), `steps` (the mean of a round) and `rounds` (their number).
    """
    known = rounds[(rounds["lr"] > 0) & (rounds["steps"] > 0)]
    log_lr = np.log(known["lr"].to_numpy(float))
    low, high = (log_lr.min(), log_lr.max()) if len(known) else (0.0, 0.0)
    place = np.minimum((log_lr - low) / max(high - low, 1e-12) * BINS, BINS - 1).astype(int)
    steps = known["steps"].to_numpy(float)
    sums = pd.DataFrame({"place": place, "log_lr": steps * log_lr, "steps": steps, "rounds": 1}).groupby("place").sum()
    lengths = sums["steps"] / sums["rounds"]
    return pd.DataFrame({"lr": np.exp(sums["log_lr"] / sums["steps"]), "steps": lengths, "rounds": sums["rounds"]})


def round_length_slope(rounds: pd.DataFrame) -> float:
    """The slope of log(steps) on log(lr), by least squares over `mean_round_lengths`; NaN where there is none.

    Args:
        rounds: as in `mean_round_lengths`, without a round that the end of the budget cut short.

    >>> lrs = [0.1, 0.05, 0.025, 0.0125]
    >>> round_length_slope(pd.DataFrame({"lr": lrs, "steps": [0.01 / lr**2 for lr in lrs]}))
    -2.0
    """
    points = mean_round_lengths(rounds)
    if len(points) < MIN_BINS or points["lr"].max() < MIN_RATIO * points["lr"].min():
        return np.nan
    slope, _ = np.polyfit(np.log(points["lr"]), np.log(points["steps"]), 1)
    return float(round(slope, 9))
