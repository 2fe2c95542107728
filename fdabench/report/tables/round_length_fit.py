"""Fits how the length of rounds depends on the learning rate: the slope of log(steps) on log(lr).

If the models differ because of mini-batch noise, the variance after h steps at learning rate lr grows as lr^2 h. A
fixed theta then ends the round after h ~ lr^-2 steps: slope -2, the quadratic synchronization rule. If they differ
because the workers' expected gradients do, the variance grows as (lr h)^2, so h ~ lr^-1: slope -1. Both assume that
nothing else changes in training.
"""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

BINS = 8
"""The number of intervals of equal width in log(lr). Each counts once, although short rounds are more frequent."""
MIN_BINS, MIN_RATIO = 3, 2.0
"""A slope requires this number of intervals that contain rounds, and a change of the learning rate by this factor."""


def mean_round_lengths(rounds: pd.DataFrame) -> pd.DataFrame:
    """Return the mean length of the rounds in each interval of learning rates, in the order of the learning rate.

    Args:
        rounds: rows of the table `rounds`, with `steps` and `lr`; those in which either is not positive are left out.

    Returns:
        A frame with `lr` (the geometric mean over steps), `steps` (the mean of a round) and `rounds` (their number).
    """
    usable = rounds[(rounds["lr"] > 0) & (rounds["steps"] > 0)]
    log_lr = np.log(usable["lr"].to_numpy(float))
    low, high = (log_lr.min(), log_lr.max()) if len(usable) else (0.0, 0.0)
    interval = np.minimum((log_lr - low) / max(high - low, 1e-12) * BINS, BINS - 1).astype(int)
    steps = usable["steps"].to_numpy(float)
    terms = pd.DataFrame({"interval": interval, "log_lr": steps * log_lr, "steps": steps, "rounds": 1})
    sums = terms.groupby("interval").sum()
    lengths = sums["steps"] / sums["rounds"]
    return pd.DataFrame({"lr": np.exp(sums["log_lr"] / sums["steps"]), "steps": lengths, "rounds": sums["rounds"]})


class RoundLengthFit(NamedTuple):
    """The line log(steps) = intercept + slope log(lr). All four are NaN where no line can be fitted."""

    slope: float
    low: float
    high: float
    """`low` and `high` limit the 95 % confidence interval of the slope, from the scatter of the points."""
    intercept: float


NO_FIT = RoundLengthFit(math.nan, math.nan, math.nan, math.nan)


def fit_round_length(rounds: pd.DataFrame) -> RoundLengthFit:
    """Fit the line by least squares over `mean_round_lengths`.

    Args:
        rounds: as in `mean_round_lengths`, without rounds that the end of the budget cut short.

    Returns:
        `NO_FIT` with fewer than `MIN_BINS` intervals, or a change of the learning rate by less than `MIN_RATIO`. The
        interval of the slope is Student's t with two degrees of freedom less than there are points.

    >>> lrs = [0.1, 0.05, 0.025, 0.0125]
    >>> fit_round_length(pd.DataFrame({"lr": lrs, "steps": [0.01 / lr**2 for lr in lrs]})).slope
    -2.0
    """
    points = mean_round_lengths(rounds)
    if len(points) < MIN_BINS or points["lr"].max() < MIN_RATIO * points["lr"].min():
        return NO_FIT
    line = stats.linregress(np.log(points["lr"]), np.log(points["steps"]))
    half = float(stats.t.ppf(0.975, len(points) - 2) * line.stderr)
    slope = float(round(line.slope, 9))
    return RoundLengthFit(slope, slope - half, slope + half, float(line.intercept))
