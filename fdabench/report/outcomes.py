"""What reaching a target cost, in the suite's own convention; or what was spent without reaching it."""

import numpy as np
import pandas as pd

from fdabench.results.costs import bytes_at_each
from fdabench.results.load import Results


def priced_evals(result: Results) -> pd.DataFrame:
    """The evaluations, their bytes in the suite's convention: a cell's own table has them in the paper's."""
    convention = result.lock["convention"]
    if convention == "paper" or result.evals.empty:
        return result.evals
    workers = dict(zip(result.runs["cell_id"], result.runs["workers"], strict=True))
    ledgers = dict(list(result.ledger.groupby("cell_id")))
    priced = [
        bytes_at_each(mine, ledgers[cell_id], int(workers[cell_id]), convention)
        for cell_id, mine in result.evals.groupby("cell_id", sort=False)
    ]
    return pd.concat(priced)


def with_costs(frame: pd.DataFrame) -> pd.DataFrame:
    """Outcomes from hits with their cells' axes and what those `spent` and `ran`: costs, and what targets tell.

    Costs are those of the hit, or what was spent where the target was missed. `..._before` are those of the evaluation
    before the hit, at least one step; `..._limit` those at the end of the workload's budget.
    """
    reached = frame["reached"].astype(bool)
    rates = frame.assign(reached=reached).groupby(["workload", "target"])["reached"].mean()
    top = telling(reached.astype(float).groupby(frame["target"]).mean())
    of_workload = {workload: telling(rates[workload]) for workload in frame["workload"].unique()}
    lowest = frame.groupby("workload")["target"].min()
    # A diverged cell stopped early and never gets there: what it spent by then bounds nothing.
    spent = frame[["spent", "ran"]].astype(float).where(frame["state"] != "diverged", np.nan)
    # A cell that stopped at its targets would have gone on as far as the others, at the same bytes a step.
    budget = spent["ran"].groupby(frame["workload"]).transform("max")
    return frame.assign(
        reached=reached,
        headline=frame["target"] == top,
        shown=frame["target"] == frame["workload"].map(pd.Series(of_workload, dtype=float).fillna(lowest)),
        cost_bytes=frame["bytes_total"].astype(float).where(reached, spent["spent"]),
        cost_steps=frame["step"].astype(float).where(reached, spent["ran"]),
        cost_bytes_before=frame["bytes_before"].astype(float),
        cost_steps_before=frame["step_before"].astype(float).clip(lower=1),
        cost_bytes_limit=spent["spent"] * (budget / spent["ran"]),
        cost_steps_limit=budget.where(spent["ran"].notna()),
        rounds=frame["syncs"].astype(float) + 1,
    )


def telling(rates: "pd.Series[float]") -> float:
    """The target that tells most: the highest that half of the cells reached, or else that anybody reached.

    Args:
        rates: the share of cells that reached it, by target. NaN if none was reached.
    """
    for share in (0.5, 1e-9):
        reached = rates.index[rates >= share]
        if len(reached):
            return float(max(reached))
    return np.nan
