"""Finds comparisons that depend on few evaluations or on a model that was not sent, for the caveats of the report.

These are targets that a cell reached and missed again at the next or the last evaluation, targets that it reached
before its first sync, and differences between strategies that are smaller than one evaluation interval.
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
    for suite, hits in _hits_by_suite(data):
        if data.locks[suite].consecutive > 1:
            continue
        lost = _lost(data, hits)
        if len(lost):
            target, side = hits["target_name"].iloc[0], data.metric.worse_side
            yield (
                f"Hits that rest on one evaluation: {len(lost)} of {plural(len(hits), 'run')} that reached "
                f"{target} were {side} it again at the next evaluation ({_count_by_label(lost)}). "
                "With eval.consecutive = 2 or more they would not count."
            )


def hits_lost_at_the_end(data: ReportData) -> Iterator[str]:
    """Yield a caveat for each suite in which cells missed the target again at their last evaluation."""
    for _, hits in _hits_by_suite(data):
        lost = hits[hits["lost"]]
        if len(lost):
            target, side = hits["target_name"].iloc[0], data.metric.worse_side
            yield (
                f"Lost by the end: {len(lost)} of {plural(len(hits), 'run')} that reached {target} were {side} it at "
                f"their last evaluation ({_count_by_label(lost)}). Compare the values at the end as well."
            )


def hits_before_the_first_sync(data: ReportData) -> Iterator[str]:
    """Yield a caveat for each suite in which cells reached the target with a model that no sync had made yet."""
    for _, hits in _hits_by_suite(data):
        early = hits[hits["unsent"]]
        if len(early):
            target = hits["target_name"].iloc[0]
            yield (
                f"Reached before the first sync: {len(early)} of {plural(len(hits), 'run')} that reached {target} "
                f"({_count_by_label(early)}) did so with a mean of the workers' models that was computed and not sent. "
                'Their bytes contain no sync; with eval.model = "synced" they would contain one.'
            )


def _hits_by_suite(data: ReportData) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the name of each suite with hits of the headline target, and the hits."""
    outcomes = data.at_suite_target
    for suite in data.locks:
        hits = outcomes[(outcomes["suite"] == suite) & outcomes["reached"].astype(bool)]
        if len(hits):
            yield suite, hits


def _count_by_label(hits: pd.DataFrame) -> str:
    counts = hits.groupby("label", sort=False).size()
    return join_first([f"{label} {number}" for label, number in counts.items()], 16)


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
