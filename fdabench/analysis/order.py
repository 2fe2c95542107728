"""Determines the order of strategies: first by how often they reach the target, then by bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fdabench.analysis.stats import PAIR

MAX_MISSES = 0.2
"""The fraction of common cells that a strategy may miss more often than another without counting as clearly worse.

One cell more is not enough either, unless the strategy reached the target in at most half of the common cells.
"""
RULE = (
    "less often: in more than one run and more than 1 in 5 fewer than another strategy, or in at most half of the runs "
    "where another reached it in more"
)

NOT_KEPT = (
    "most of the runs that reached the target did so before their first sync, with a mean of models that was not sent, "
    "or had lost it at the last evaluation"
)
RULE_OF_KEPT = f"not kept: {NOT_KEPT}"

LEVEL = 1.1
"""Strategies of a group whose bytes lie within this factor of the fewest keep the order of the suite."""

RunCounts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """The labels of strategies, the best first.

    Args:
        leading: strategies that do not reach the target clearly less often than another.
        level: how many of the leading strategies, from the first, need about the same bytes.
        not_kept: strategies that reach the target as often, but in most of these runs before the first sync, with a
            mean of models that was not sent, or lose it again by the last evaluation.
        less_often: strategies that reach the target clearly less often than another.
        never: strategies that never reach it.
    """

    leading: tuple[str, ...]
    level: int
    not_kept: tuple[str, ...]
    less_often: tuple[str, ...]
    never: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return (*self.leading, *self.not_kept, *self.less_often, *self.never)


def order_strategies(outcomes: pd.DataFrame) -> Order:
    """Return the order of strategies at one target.

    A strategy reaches the target clearly less often than another if two conditions hold for the cells in which both
    have a result. The other reached the target in more of them. Also, either this strategy reached it in at most half
    of them, or the other reached it in at least two more and in more than 1 in 5 more.

    Within a group, strategies are ordered by their bytes on common cells, so a cheap hit on an easy workload does not
    make a strategy the first. Strategies within a tenth of the fewest bytes keep the order of the suite. So do, after
    them, those within a tenth of the next. Otherwise rounding errors could change the order.

    Args:
        outcomes: rows at one target, in suite order, with suite, workload, seed, label, bytes_total, reached,
            unsent and lost.
    """
    labels = [str(label) for label in dict.fromkeys(outcomes["label"])]
    rows = outcomes.assign(reached=outcomes["reached"].astype(float))
    reached = rows.pivot_table(index=PAIR, columns="label", values="reached", sort=False)[labels].to_numpy(float)
    hits = dict(zip(labels, np.nansum(reached, axis=0), strict=True))
    worse = dict(zip(labels, _clearly_worse(reached), strict=True))
    reaching = [label for label in labels if hits[label] > 0]
    of_hits = outcomes[outcomes["reached"].astype(bool)]
    lasts = set(of_hits["label"][kept_by_most(of_hits, ["label"])])
    costs = _log_bytes(rows)
    leading = _by_bytes([label for label in reaching if not worse[label] and label in lasts], costs)
    not_lasting = _by_bytes([label for label in reaching if not worse[label] and label not in lasts], costs)
    less_often = _by_bytes([label for label in reaching if worse[label]], costs)
    return Order(
        leading=tuple(label for rank in leading for label in rank),
        level=len(leading[0]) if leading else 0,
        not_kept=tuple(label for rank in not_lasting for label in rank),
        less_often=tuple(label for rank in less_often for label in rank),
        never=tuple(label for label in labels if not hits[label]),
    )


def kept_by_most(hits: pd.DataFrame, group: Sequence[str]) -> "pd.Series[bool]":
    """Return whether at least half of the hits of a row's group were made after a sync and kept until the end.

    Args:
        hits: outcomes that reached a target, with unsent and lost.
        group: the columns that say which rows belong together.
    """
    columns = [hits[column] for column in group]
    by_most: pd.Series[bool] = not_kept(hits).groupby(columns).transform("mean") <= 0.5
    return by_most


def not_kept(outcomes: pd.DataFrame) -> "pd.Series[bool]":
    """Return whether the target was reached before the first sync, or was lost again by the last evaluation.

    Args:
        outcomes: with unsent and lost, which are False where the target was missed.
    """
    is_not_kept: pd.Series[bool] = outcomes["unsent"] | outcomes["lost"]
    return is_not_kept


def _clearly_worse(reached: RunCounts) -> npt.NDArray[np.bool_]:
    """Whether each strategy reaches the target clearly less often than another (see `order_strategies`).

    Args:
        reached: a row for each workload and seed, a column for each strategy; NaN without a result.
    """
    has_result = np.isfinite(reached).astype(float)
    hit = np.nan_to_num(reached)
    common, hits = has_result.T @ has_result, hit.T @ has_result
    more = hits.T - hits  # [this, other]: by how many cells the other reached it more often
    half = hits <= common / 2
    by_margin = (more >= 2) & (more > MAX_MISSES * common)
    worse: npt.NDArray[np.bool_] = ((more > 0) & (half | by_margin)).any(axis=1)
    return worse


def _log_bytes(rows: pd.DataFrame) -> pd.DataFrame:
    """The logarithm of the bytes of hits: a row for each workload and seed, a column for each strategy."""
    hits = rows[rows["reached"] > 0]
    logs = np.log(hits["bytes_total"].astype(float).clip(lower=1))  # avoids log(0): a ring of one worker sends nothing
    return hits.assign(logs=logs).pivot_table(index=PAIR, columns="label", values="logs", sort=False)


def _by_bytes(labels: Sequence[str], costs: pd.DataFrame) -> list[list[str]]:
    """Groups of strategies that need about the same bytes, the fewest first; in a group, the labels keep their order.

    The common cells are those in which all strategies with the most hits reached the target. A strategy that missed
    some of them is ordered by its costs in the others, relative to the mean of those strategies in the same cells.
    """
    if not labels:
        return []
    own_costs = costs[list(labels)]
    hits = own_costs.count()
    common = own_costs[list(hits.index[hits == hits.max()])].dropna().mean(axis=1)
    scores = (own_costs.loc[common.index].sub(common, axis=0)).mean() if len(common) else own_costs.mean()
    ordered = sorted(labels, key=lambda label: (float(scores.fillna(np.inf)[label]), label))
    ranks: list[list[str]] = []
    for label in ordered:
        if ranks and float(scores[label]) <= float(scores[ranks[-1][0]]) + np.log(LEVEL):
            ranks[-1].append(label)
        else:
            ranks.append([label])
    return [sorted(rank, key=list(labels).index) for rank in ranks]
