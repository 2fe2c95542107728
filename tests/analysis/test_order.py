"""The headline target, the order of strategies, and the text of a ratio."""

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdabench.analysis.order import Order, order_strategies
from fdabench.analysis.stats import NO_RATIO, Ratio
from fdabench.analysis.target import headline_of
from fdabench.report.ratios import format_times, format_times_sign
from fdabench.report.sentence import pair_words, sentence_of
from fdabench.results.suite_lock import SuiteLock
from support.digits_results import ONE_CELL, make_lock

Hits = dict[str, list[float | None]]
"""Of each strategy the bytes in each run, None where it missed."""


def outcomes(hits: Hits, seeds: int = 100, reference: str = "") -> pd.DataFrame:
    rows = [
        {
            "suite": "s",
            "workload": f"w{i // seeds}",
            "seed": i % seeds,
            "label": label,
            "reference": label == reference,
            "target": 0.9,
            "reached": cost is not None,
            "unsent": False,
            "lost": False,
            "bytes_total": math.nan if cost is None else cost,
            "cost_bytes": 1e9 if cost is None else cost,
            "cost_bytes_before": math.nan if cost is None else 0.9 * cost,
            "cost_bytes_limit": 1e9,
        }
        for label, costs in hits.items()
        for i, cost in enumerate(costs)
    ]
    return pd.DataFrame(rows)


def order(hits: Hits) -> Order:
    return order_strategies(outcomes(hits))


def test_strategies_that_reach_the_target_equally_often_are_ordered_by_bytes() -> None:
    assert order({"A": [30e6] * 4, "B": [10e6] * 4, "C": [20e6] * 4}).labels == ("B", "C", "A")


def test_one_missed_run_does_not_rank_an_expensive_strategy_first() -> None:
    """The quickstart of an earlier version: Synchronous first, because it alone had 4 of 4."""
    actual = order({"Synchronous": [400e6] * 4, "LinearFDA": [18e6, 18e6, 18e6, None]})
    assert actual == Order(("LinearFDA", "Synchronous"), 1, (), (), ())


@pytest.mark.parametrize(
    ("cheap", "group"),
    [
        ([1e6, None, None, None], "less often"),
        ([1e6, 1e6, None, None], "less often"),
        ([1e6, 1e6, 1e6, None], "leading"),
        ([None] * 4, "never"),
    ],
)
def test_a_single_hit_among_misses_does_not_rank_first(cheap: list[float | None], group: str) -> None:
    actual = order({"cheap": cheap, "sure": [50e6] * 4})
    assert actual.labels[0] == ("cheap" if group == "leading" else "sure")
    where = {"leading": actual.leading, "less often": actual.less_often, "never": actual.never}
    assert "cheap" in where[group]


@pytest.mark.parametrize("column", ["unsent", "lost"])
@pytest.mark.parametrize(("runs", "is_first"), [(2, True), (3, False)])
def test_a_strategy_that_did_not_keep_the_target_in_most_of_its_runs_is_not_first(
    column: str, runs: int, is_first: bool
) -> None:
    """On the plays of the study FedAvgM reached 2.6 nats before its first sync, and ended at 3.75."""
    rows = outcomes({"cheap": [1e6] * 4, "sure": [50e6] * 4, "rare": [1e6, None, None, None]})
    rows[column] = (rows["label"] == "cheap") & (rows["seed"] < runs)
    actual = order_strategies(rows)
    assert actual.labels == (("cheap", "sure", "rare") if is_first else ("sure", "cheap", "rare"))
    assert actual.not_kept == (() if is_first else ("cheap",))


def test_a_strategy_is_compared_on_the_runs_that_it_reached() -> None:
    """It missed the dear run of two, but where both got there it needed more."""
    actual = order({"A": [2e6, 2e6, 2e6, None], "B": [1e6, 1e6, 1e6, 900e6]})
    assert actual.labels == ("B", "A")


@pytest.mark.parametrize("misses", [[None, 10e6, 10e6, 10e6], [10e6, 10e6, 10e6, None]])
def test_the_misses_of_one_strategy_do_not_order_the_others(misses: list[float | None]) -> None:
    two: Hits = {"A": [1e6, 5e6, 1e6, 5e6], "B": [4e6, 2e6, 4e6, 1e6]}
    alone = order(two).labels
    assert [label for label in order({**two, "C": misses}).labels if label != "C"] == list(alone)


@pytest.mark.parametrize("costs", [(10e6, 10.4e6), (10.4e6, 10e6)])
def test_a_margin_of_a_few_per_cent_keeps_the_order_of_the_suite(costs: tuple[float, float]) -> None:
    actual = order({"A": [costs[0]] * 4, "B": [costs[1]] * 4, "C": [30e6] * 4})
    assert (actual.labels, actual.level) == (("A", "B", "C"), 2)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_strategy_is_named_once_for_any_reached_targets(data: st.DataObject) -> None:
    cost = st.none() | st.floats(0, 1e9)
    hits = {label: data.draw(st.lists(cost, min_size=4, max_size=4)) for label in "ABCD"}
    actual = order(hits)
    assert sorted(actual.labels) == list("ABCD")
    assert set(actual.never) == {label for label in hits if all(cost is None for cost in hits[label])}


def test_strategies_without_a_common_run_are_ordered() -> None:
    actual = order({"A": [1e6, None], "B": [None, 2e6]})
    assert sorted(actual.labels) == ["A", "B"]


def hits_frame(rates: dict[str, dict[float, list[bool]]]) -> pd.DataFrame:
    rows = [
        {"workload": f"w{i}", "label": label, "reference": label == "R", "target": target, "reached": hit}
        for label, targets in rates.items()
        for target, hits in targets.items()
        for i, hit in enumerate(hits)
    ]
    return pd.DataFrame(rows)


def lock(labels: str, **more: Any) -> SuiteLock:
    cells = [{"id": label, "label": label, "reference": label == "R", "config": ONE_CELL} for label in labels]
    return make_lock(cells, targets=[0.5, 0.7, 0.9], **more)


ALL, HALF, NONE = [True, True], [True, False], [False, False]


def test_the_headline_target_of_the_suite_is_used() -> None:
    frame = hits_frame({"R": {0.5: ALL, 0.7: ALL, 0.9: NONE}})
    actual = headline_of(lock("R", headline=0.5), frame)
    assert (actual.chosen, actual.target, actual.reason, actual.after_runs) == (0.5, 0.5, "named in the suite", False)


def test_the_headline_target_is_chosen_by_the_reference_on_its_worst_workload() -> None:
    frame = hits_frame({"R": {0.5: ALL, 0.7: HALF, 0.9: NONE}, "A": {0.5: ALL, 0.7: ALL, 0.9: ALL}})
    assert headline_of(lock("RA"), frame).target == 0.5


@pytest.mark.parametrize("hits", [ALL, HALF, NONE])
def test_another_strategy_does_not_move_the_headline_target(hits: list[bool]) -> None:
    reference = {0.5: ALL, 0.7: ALL, 0.9: HALF}
    alone = headline_of(lock("R"), hits_frame({"R": reference}))
    joined = headline_of(lock("RA"), hits_frame({"R": reference, "A": dict.fromkeys((0.5, 0.7, 0.9), hits)}))
    assert joined == alone
    assert not joined.after_runs


def test_without_a_reference_the_headline_target_is_that_of_nearly_all_runs() -> None:
    most = {label: {0.5: ALL, 0.7: ALL, 0.9: HALF} for label in "ABCD"}
    actual = headline_of(lock("ABCDE"), hits_frame({**most, "E": {0.5: NONE, 0.7: NONE, 0.9: NONE}}))
    assert (actual.target, actual.after_runs) == (0.7, True)


def test_without_a_reached_target_the_next_lower_one_is_taken() -> None:
    frame = hits_frame({"R": {0.5: ALL, 0.7: HALF, 0.9: NONE}})
    actual = headline_of(lock("R", headline=0.9), frame)
    assert (actual.chosen, actual.target) == (0.9, 0.7)
    nobody = headline_of(lock("R", headline=0.9), hits_frame({"R": {0.5: NONE, 0.7: NONE, 0.9: NONE}}))
    assert math.isnan(nobody.target)


@pytest.mark.parametrize(
    ("ratio", "words", "sign"),
    [
        (Ratio(14.2, 13.6, 15.1, 4), "14 times as many [14, 15]", "14× [14, 15]"),
        (Ratio(14.2, math.nan, math.nan, 1), "14 times as many", "14×"),
        (Ratio(20.0, 13.0, 29.0, 4, "≥"), "at least 13 times as many", "at least 13×"),
        (Ratio(13.0, 13.0, math.nan, 4, "≥"), "at least 13 times as many", "at least 13×"),
        (Ratio(20.0, math.nan, math.nan, 1, "≥"), "at least 20 times as many", "at least 20×"),
        (Ratio(0.5, 0.3, 0.78, 4, "≤"), "at most 0.78 times as many", "at most 0.78×"),
        (Ratio(0.27, 0.27, math.nan, 4, "≥"), "unclear, at least 0.27 times as many", "unclear, at least 0.27×"),
        (Ratio(2.4, math.nan, 2.4, 4, "≤"), "unclear, at most 2.4 times as many", "unclear, at most 2.4×"),
        (Ratio(0.5, -math.inf, 0.78, 4, "≤"), "at most 0.78 times as many", "at most 0.78×"),
        (NO_RATIO, "", "–"),
    ],
)
def test_a_ratio_with_one_known_limit_is_shown_as_a_bound(ratio: Ratio, words: str, sign: str) -> None:
    assert (format_times(ratio), format_times_sign(ratio)) == (words, sign)


def test_the_conclusion_is_written_from_the_side_of_the_best_strategy() -> None:
    rows = outcomes({"S": [200e6, 220e6], "F": [14e6, 14e6], "G": [90e6, 90e6]}, reference="S")
    output = sentence_of(rows, order_strategies(rows))
    assert output.startswith("90 %: F needed 14.0 MB (2 of 2 runs); S 210 MB (2 of 2 runs): 15 times as many")


def test_where_the_reference_is_best_the_conclusion_names_the_second() -> None:
    rows = outcomes({"S": [10e6, 10e6], "F": [40e6, 40e6]}, reference="S")
    assert sentence_of(rows, order_strategies(rows)).startswith(
        "90 %: S needed 10.0 MB (2 of 2 runs); F 40.0 MB (2 of 2 runs): 4.0 "
    )


def test_pairs_without_information_are_counted() -> None:
    hits: Hits = {"A": [1e6, 1e6, None], "B": [2e6, 2e6, None]}
    rows = outcomes(hits)
    one, other = (rows[rows["label"] == label] for label in hits)
    assert pair_words(Ratio(2.0, 1.0, 3.0, 2), one, other) == "2 of 3 pairs; in 1 neither reached it"
    assert pair_words(Ratio(2.0, 1.0, 3.0, 3), one, other) == ""
