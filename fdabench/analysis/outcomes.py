"""Computes the cost of reaching a target, or the cost spent without reaching it, in the suite's convention."""

import numpy as np
import pandas as pd

from fdabench.accounting.costs import add_byte_columns, without_paper_prefix
from fdabench.analysis.target import Headline
from fdabench.results.load import Results


def priced_evals(result: Results) -> pd.DataFrame:
    """Return the evaluations with `bytes_*` in the suite's convention in place of the file's `paper_bytes_*`."""
    convention = result.lock.convention
    if convention == "paper" or result.evals.empty:
        return without_paper_prefix(result.evals)
    workers = dict(zip(result.runs["cell_id"], result.runs["workers"], strict=True))
    ledgers = dict(list(result.ledger.groupby("cell_id")))
    priced = [
        add_byte_columns(of_cell, ledgers[cell_id], int(workers[cell_id]), convention)
        for cell_id, of_cell in result.evals.groupby("cell_id", sort=False)
    ]
    return pd.concat(priced)


def with_costs(frame: pd.DataFrame, target: Headline) -> pd.DataFrame:
    """Return the outcomes of one suite: its hits with their costs, and with the targets to show.

    `cost_bytes` and `cost_steps` are the costs at the hit, or what was spent if the target was missed. The columns
    `..._before` are the costs at the evaluation before the hit, at least one step; `..._limit` those at the end of the
    workload's budget. `headline` marks the headline target, and `shown` the target that figures and tables show of each
    workload. The two are the same unless no strategy reached the headline target on a workload; then the hardest easier
    target that one reached is shown. `target_name` is the target as figures write it.
    `unsent` marks hits before the first sync, of a mean of models that was computed and not sent, and `lost` hits whose
    cell misses the target at its last evaluation.

    Args:
        frame: the suite's hits with `AXES`, the bytes `spent` and the steps `ran` by each cell in all, and its
            `final_value`.
        target: the headline target of the suite.
    """
    reached = frame["reached"].astype(bool)
    metric = target.metric
    score = metric.score(frame["target"].astype(float))
    below = score[reached & (score <= metric.score(target.chosen))]
    hardest = below.groupby(frame["workload"]).max().clip(upper=metric.score(target.target))
    of_workload = metric.score(hardest)  # its own inverse
    # A diverged cell stopped early and never reaches the target, so what it spent is not a lower bound of the cost.
    spent = frame[["spent", "ran"]].astype(float).where(frame["state"] != "diverged", np.nan)
    # A cell that stopped at its last target would have run as many steps as the others, at the same bytes per step.
    budget = spent["ran"].groupby(frame["workload"]).transform("max")
    return frame.assign(
        reached=reached,
        unsent=reached & (frame["syncs"] == 0),
        lost=reached & (metric.score(frame["final_value"].astype(float)) < score),
        headline=frame["target"] == target.target,
        target_name=frame["target"].map(metric.format_target),
        shown=frame["target"] == frame["workload"].map(of_workload).fillna(target.chosen),
        cost_bytes=frame["bytes_total"].astype(float).where(reached, spent["spent"]),
        cost_steps=frame["step"].astype(float).where(reached, spent["ran"]),
        cost_bytes_before=frame["bytes_before"].astype(float),
        cost_steps_before=frame["step_before"].astype(float).clip(lower=1),
        cost_bytes_limit=spent["spent"] * (budget / spent["ran"]),
        cost_steps_limit=budget.where(spent["ran"].notna()),
        rounds=frame["syncs"].astype(float) + 1,
    )
