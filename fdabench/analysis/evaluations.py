"""Finds comparisons that depend on a single evaluation, for the caveats of the report.

These are targets that a cell reached and missed again at the next evaluation, and differences between strategies that
are smaller than one evaluation interval.
"""

from collections.abc import Iterator

import pandas as pd

from fdabench.analysis.data import ReportData, for_suite
from fdabench.analysis.order import order_strategies
from fdabench.analysis.stats import PAIR
from fdabench.formatting import join_first, plural


def hits_lost_again(data: ReportData) -> Iterator[str]:
    """Yield a caveat for each suite in which cells missed the target again at the evaluation after the hit.

    A suite that requires several evaluations in a row (`eval.consecutive`) has no such hits.
    """
    for suite, lock in data.locks.items():
        hits = data.at_suite_target[
            (data.at_suite_target["suite"] == suite) & data.at_suite_target["reached"].astype(bool)
        ]
        if lock.consecutive > 1 or hits.empty:
            continue
        lost = _lost(data, hits)
        if len(lost):
            counts = lost.groupby("label", sort=False).size()
            names = join_first([f"{label} {number}" for label, number in counts.items()], 16)
            target, side = hits["target_name"].iloc[0], data.metric.worse_side
            yield (
                f"Hits that rest on one evaluation: {len(lost)} of {plural(len(hits), 'run')} that reached "
                f"{target} were {side} it again at the next evaluation ({names}). "
                "With eval.consecutive = 2 or more they would not count."
            )


def _lost(data: ReportData, hits: pd.DataFrame) -> pd.DataFrame:
    evals = data.evals.assign(test_value=data.metric.of(data.evals, "test"))
    after = evals[["cell_id", "step", "test_value"]].merge(
        hits[["cell_id", "step", "target"]], on="cell_id", suffixes=("", "_hit")
    )
    after = after[after["step"] > after["step_hit"]].sort_values("step").drop_duplicates("cell_id")
    lost = data.metric.score(after["test_value"]) < data.metric.score(after["target"])
    return hits[hits["cell_id"].isin(after.loc[lost, "cell_id"])]


def margins_under_one_evaluation(data: ReportData) -> Iterator[str]:
    """Yield a caveat for each suite in which evaluations are too far apart to separate the best strategy from others.

    The bytes to a target lie between those at the hit and those at the evaluation before. If these ranges overlap in
    most of the runs that two strategies have in common, either strategy may need fewer bytes.
    """
    for suite in data.locks:
        outcomes = for_suite(data, suite).at_suite_target
        order = order_strategies(outcomes) if len(outcomes) else None
        if order is None or len(order.leading) < 2:
            continue
        hits = outcomes[outcomes["reached"].astype(bool)]
        best, *others = order.leading
        notes = []
        for label in others:
            pairs = hits[hits["label"] == best].merge(hits[hits["label"] == label], on=PAIR, suffixes=("", "_other"))
            overlap = pairs["cost_bytes_before"] < pairs["cost_bytes_other"]
            overlap &= pairs["cost_bytes_before_other"] < pairs["cost_bytes"]
            if 2 * int(overlap.sum()) > len(pairs):
                notes.append(f"{label} {int(overlap.sum())} of {len(pairs)}")
        if notes:
            yield (
                f"Margins under one evaluation: in most runs {best} and these strategies reached the target within one "
                f"evaluation interval of each other's bytes, so either may need fewer ({join_first(notes, 16)})."
            )
