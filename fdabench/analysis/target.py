"""Chooses the headline target: the value of the metric at which a suite's strategies are compared first."""

import math
from dataclasses import dataclass

import pandas as pd

from fdabench.metrics import ACCURACY, METRICS, Metric
from fdabench.results.suite_lock import SuiteLock

NEARLY_ALL = 0.8
"""The fraction of cells, and of strategies, that must reach a target before it is chosen."""


@dataclass(frozen=True)
class Headline:
    """The headline target of one suite.

    Args:
        chosen: the value that the suite sets or the rule chose; NaN if the suite has no target.
        target: the same if a strategy reached it; else the hardest easier target that one reached, NaN if none.
        reason: how it was chosen, as an apposition: "named in the suite".
        after_runs: whether it was chosen from the results of all strategies, so that another strategy could change it.
        metric: of the suite.
    """

    chosen: float
    target: float
    reason: str
    after_runs: bool
    metric: Metric = ACCURACY

    @property
    def name(self) -> str:
        return self.metric.format_target(self.target)


def headline_of(lock: SuiteLock, outcomes: pd.DataFrame) -> Headline:
    """Return the headline target that the suite sets, or else one that is chosen by a rule.

    If the suite has a reference strategy, it is the hardest target that the reference reached in 4 of 5 of its cells of
    each workload, or else the easiest. Other strategies do not affect it. Without a reference, it is the hardest target
    that 4 of 5 strategies reached in 4 of 5 of their cells, or else the easiest. Of accuracies the highest is the
    hardest, of losses the lowest.

    Args:
        lock: the frozen suite.
        outcomes: a row for each finished cell and target, with workload, label, reference, target and reached.
    """
    metric = METRICS[lock.metric]
    targets = metric.easiest_first(lock.targets)
    if not targets:
        return Headline(math.nan, math.nan, "no target is set", False, metric)
    chosen, how, after_runs = _choice(lock, targets, outcomes)
    hit = set(outcomes.loc[outcomes["reached"].astype(bool), "target"].astype(float))
    below = [target for target in targets if not metric.better(target, chosen) and target in hit]
    return Headline(chosen, metric.best(below), how, after_runs, metric)


def _choice(lock: SuiteLock, targets: list[float], outcomes: pd.DataFrame) -> tuple[float, str, bool]:
    if lock.headline is not None:
        return lock.headline, "named in the suite", False
    if len(targets) == 1:
        return targets[0], "the only target", False
    metric = METRICS[lock.metric]
    highest, lowest = metric.hardest, metric.easiest
    rows = outcomes.assign(reached=outcomes["reached"].astype(float))
    names = list(dict.fromkeys(cell.label for cell in lock.cell if cell.reference))
    if names:
        of_reference = rows[rows["reference"].astype(bool)]
        least = of_reference.groupby(["workload", "target"])["reached"].mean().groupby("target").min()
        high = [float(target) for target in least.index[least >= NEARLY_ALL]]
        name = " and ".join(names)
        if high:
            return metric.best(high), f"the {highest} that {name} reached in 4 of 5 of its runs of each workload", False
        if of_reference.empty:
            return targets[0], f"the {lowest}, as {name} has no result yet", False
        return targets[0], f"the {lowest}, as {name} reached none in 4 of 5 of its runs of each workload", False
    shares = rows.groupby(["label", "target"])["reached"].mean()
    nearly = (shares >= NEARLY_ALL).groupby("target").mean()
    high = [float(target) for target in nearly.index[nearly >= NEARLY_ALL]]
    if high:
        return metric.best(high), f"the {highest} that 4 of 5 strategies reached in 4 of 5 of their runs", True
    return targets[0], f"the {lowest}, as no other was reached by 4 of 5 strategies in 4 of 5 of their runs", True
