"""The headline target: the accuracy at which a suite's strategies are compared first, and how it was chosen."""

import math
from dataclasses import dataclass

import pandas as pd

from fdabench.formatting import format_target
from fdabench.results.suite_lock import SuiteLock

NEARLY_ALL = 0.8
"""Of cells, and of strategies: 4 of 5 are nearly all."""


@dataclass(frozen=True)
class Headline:
    """The headline target of one suite.

    Args:
        chosen: the fraction that the suite names or the rule chose; NaN where the suite has no target.
        target: the same, or where nobody reached it the highest one below that somebody did; NaN where there is none.
        how: how it was chosen, as an apposition: "named in the suite".
        after_runs: whether it was chosen from the results of all strategies, so that one more could move it.
    """

    chosen: float
    target: float
    reason: str
    after_runs: bool

    @property
    def name(self) -> str:
        return format_target(self.target)


def headline_of(lock: SuiteLock, outcomes: pd.DataFrame) -> Headline:
    """The suite's own headline target, or one by a rule.

    With a reference the rule is: the highest target that the reference reached in 4 of 5 of its cells of each workload,
    else the lowest. No other strategy can move that. Without a reference: the highest that 4 of 5 strategies reached in
    4 of 5 of their cells, else the lowest.

    Args:
        lock: the frozen suite.
        outcomes: a row for each finished cell and target, with workload, label, reference, target and reached.
    """
    targets = sorted(lock.targets)
    if not targets:
        return Headline(math.nan, math.nan, "no target is set", False)
    chosen, how, after_runs = _choice(lock, targets, outcomes)
    hit = set(outcomes.loc[outcomes["reached"].astype(bool), "target"].astype(float))
    below = [target for target in targets if target <= chosen and target in hit]
    return Headline(chosen, max(below, default=math.nan), how, after_runs)


def _choice(lock: SuiteLock, targets: list[float], outcomes: pd.DataFrame) -> tuple[float, str, bool]:
    if lock.headline is not None:
        return lock.headline, "named in the suite", False
    if len(targets) == 1:
        return targets[0], "the only target", False
    rows = outcomes.assign(reached=outcomes["reached"].astype(float))
    names = list(dict.fromkeys(cell.label for cell in lock.cell if cell.reference))
    if names:
        mine = rows[rows["reference"].astype(bool)]
        least = mine.groupby(["workload", "target"])["reached"].mean().groupby("target").min()
        high = [float(target) for target in least.index[least >= NEARLY_ALL]]
        name = " and ".join(names)
        if high:
            return max(high), f"the highest that {name} reached in 4 of 5 of its runs of each workload", False
        if mine.empty:
            return targets[0], f"the lowest, as {name} has no result yet", False
        return targets[0], f"the lowest, as {name} reached none in 4 of 5 of its runs of each workload", False
    shares = rows.groupby(["label", "target"])["reached"].mean()
    nearly = (shares >= NEARLY_ALL).groupby("target").mean()
    high = [float(target) for target in nearly.index[nearly >= NEARLY_ALL]]
    if high:
        return max(high), "the highest that 4 of 5 strategies reached in 4 of 5 of their runs", True
    return targets[0], "the lowest, as no other was reached by 4 of 5 strategies in 4 of 5 of their runs", True
