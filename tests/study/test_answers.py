"""The numbers of the study: ratios, differences and rank correlations on outcomes made by hand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from answer_tables import Answer, Interval, markdown
from answers import (
    FLEET_NAMES,
    PAIRS,
    difference,
    main,
    rank_correlation,
    ratio,
    ratios,
    with_times,
)
from candidates import METHODS

from fdabench.accounting.fleets import FLEETS
from fdabench.analysis.data import combine_results
from fdabench.report.tables.fleets import fleets_frame
from support.digits_results import FULL, write


def outcomes(costs: dict[str, list[float]], workload: str = "iid") -> pd.DataFrame:
    """One row for each method and seed; a negative cost is a miss with that cost."""
    rows = [
        {
            "suite": "study",
            "workload": workload,
            "seed": seed,
            "method": method,
            "reached": cost > 0,
            "cost_bytes": abs(cost),
            "cost_bytes_before": abs(cost),
            "cost_bytes_limit": max(abs(cost), 100.0),
            "value": cost / 100,
        }
        for method, of_seed in costs.items()
        for seed, cost in enumerate(of_seed)
    ]
    return pd.DataFrame(rows)


def test_the_bonferroni_interval_contains_the_95_percent_interval():
    actual = ratio(outcomes({"LinearFDA": [10, 12, 9], "FedAvg": [20, 26, 17]}), "LinearFDA", "FedAvg", "cost_bytes")
    assert actual is not None
    assert actual.mean == pytest.approx((10 * 12 * 9 / (20 * 26 * 17)) ** (1 / 3))
    assert actual.clear_low < actual.low < actual.mean < actual.high < actual.clear_high


def test_a_ratio_with_misses_on_one_side_is_a_bound():
    actual = ratio(
        outcomes({"LinearFDA": [10, 12, 9], "FedAvg": [-100, -100, -100]}), "FedAvg", "LinearFDA", "cost_bytes"
    )
    assert actual is not None
    assert actual.bound == "≥"
    assert math.isnan(actual.high)
    assert actual.verdict(1.0) in ("clear", "likely")


def test_a_method_without_results_has_no_ratio():
    assert ratio(outcomes({"LinearFDA": [10.0, 12.0]}), "LinearFDA", "FedAvg", "cost_bytes") is None


def test_ratios_are_those_of_all_workloads_then_of_each_suite_and_each_workload():
    images = outcomes({"LinearFDA": [10, 12], "FedAvg": [20, 24]})
    plays = outcomes({"LinearFDA": [10, 12], "FedAvg": [80, 96]}).assign(suite="plays")
    pair = [("FedAvg", "LinearFDA")]
    actual = list(ratios(pd.concat([images, plays]), 1, "bytes", pair, "cost_bytes"))
    assert [item.where for item in actual] == ["all", "study", "plays", "study: iid", "plays: iid"]
    assert [item.value.mean for item in actual] == pytest.approx([4, 2, 8, 2, 8])
    assert [item.where for item in ratios(images, 1, "bytes", pair, "cost_bytes")] == ["all", "study: iid"]


def test_a_difference_is_the_mean_of_pairs_with_its_t_interval():
    actual = difference(outcomes({"LinearFDA": [10, 12, 14], "FedAvg": [8, 11, 11]}), "LinearFDA", "FedAvg", "value")
    assert actual is not None
    assert actual.mean == pytest.approx(0.02)
    assert actual.high - actual.mean == pytest.approx(4.302653 * 0.01 / math.sqrt(3))


def test_equal_orders_have_tau_1_and_reversed_orders_minus_1():
    costs = {"DDP": [50.0, 51.0], "FedAvg": [10.0, 11.0], "QSR": [20.0, 21.0]}
    reversed_costs = {"DDP": [10.0, 11.0], "FedAvg": [50.0, 51.0], "QSR": [20.0, 21.0]}
    same = pd.concat([outcomes(costs), outcomes(costs, "unlike")])
    assert rank_correlation(same, "iid", "unlike").mean == pytest.approx(1)
    opposite = pd.concat([outcomes(costs), outcomes(reversed_costs, "unlike")])
    assert rank_correlation(opposite, "iid", "unlike").mean == pytest.approx(-1)


def test_a_method_that_missed_the_target_ranks_last():
    cheap_miss = {"DDP": [50.0, 51.0], "FedAvg": [-1.0, -1.0], "QSR": [20.0, 21.0]}
    expensive = {"DDP": [50.0, 51.0], "FedAvg": [90.0, 90.0], "QSR": [20.0, 21.0]}
    frame = pd.concat([outcomes(cheap_miss), outcomes(expensive, "unlike")])
    assert rank_correlation(frame, "iid", "unlike").mean == pytest.approx(1)


def test_verdicts_follow_from_the_two_intervals():
    assert Interval(2.0, 1.5, 3.0, 1.1, 4.0, "", 5).verdict(1.0) == "clear"
    assert Interval(2.0, 1.5, 3.0, 0.9, 4.0, "", 5).verdict(1.0) == "likely"
    assert Interval(2.0, 0.5, 3.0, 0.2, 4.0, "", 5).verdict(1.0) == "open"
    assert Interval(2.0, 2.0, math.nan, 1.2, math.nan, "≥", 5).verdict(1.0) == "clear"


def test_the_table_has_a_bound_instead_of_an_interval():
    bound = Answer(
        1, "bytes to the target, FedAvg / DDP", "all", "ratio", Interval(3.0, 3.0, math.nan, 2.5, math.nan, "≥", 4)
    )
    assert markdown([bound]).splitlines()[-1] == "| 1 | bytes to the target, FedAvg / DDP | all | ≥ 3 | 4 | clear |"


def test_the_table_of_winners_has_three_methods_of_each_workload_and_no_bound():
    def item(method, where, mean, bound=""):
        interval = Interval(mean, mean, mean, mean, mean, bound, 5)
        return Answer(8, f"bytes to the target (ring), {method} / DDP", where, "ratio", interval)

    iid = [item("FedAvg", "s: iid", 0.1), item("QSR", "s: iid", 0.25), item("LinearFDA", "s: iid", 0.2, "≥")]
    text = markdown([item("FedAvg", "all", 0.3), item("FedAvg", "s", 0.2), *iid])
    assert "| 8 | bytes to the target (ring), FedAvg / DDP | all | 0.3 [0.3, 0.3] | 5 | clear |" in text
    assert text.splitlines()[-1] == "| s: iid | ring | FedAvg 0.1 | QSR 0.25 | — |"
    assert "LinearFDA" not in text


@pytest.mark.slow
def test_the_program_writes_every_number_and_names_the_methods_without_results(tmp_path, capsys):
    """The results are written by hand, so the numbers mean nothing; what is tested is that each question has some."""
    write(tmp_path / "results", FULL)
    main([tmp_path / "results"], tmp_path / "study")
    table = pd.read_csv(tmp_path / "study" / "answers.csv")
    assert set(table["question"]) == {1, 4, 6, 7}
    assert (table["low"].isna() | (table["low"] <= table["mean"])).all()
    at_targets = pd.read_csv(tmp_path / "study" / "sensitivity.csv")
    assert {1, 6, 7} <= set(at_targets["question"])
    assert set(at_targets["convention"]) == {"paper", "star", "ring", "upload"}
    headline = table[(table["number"] == "bytes to the target, SketchFDA / LinearFDA") & (table["where"] == "all")]
    assert float(headline["mean"].iloc[0]) in at_targets.loc[at_targets["convention"] == "paper", "mean"].tolist()
    title, empty, *rows = (tmp_path / "study" / "answers.md").read_text().splitlines()
    pooled = table[(table["question"] != 8) | (table["where"] == "all")]
    assert (title, empty, len(rows)) == ("# Answers of the study", "", len(pooled) + 2)
    assert "no results of" in capsys.readouterr().err


@pytest.mark.parametrize("after_sync", [False, True])
@pytest.mark.parametrize("name", FLEET_NAMES)
def test_the_time_to_the_target_is_that_of_the_report(name, after_sync, tmp_path):
    """Of the cells that reached it, by an evaluation before or after a sync; the report takes their geometric mean."""
    data = combine_results([write(tmp_path / "results", FULL)], {name: FLEETS[name]})
    data = replace(data, evals=data.evals.assign(after_sync=after_sync))
    own = with_times(data, FLEETS[name])
    hits = own[own["reached"].astype(bool)]
    seconds = hits.groupby(["workload", "label"])["cost_seconds"].agg(lambda values: np.exp(np.log(values).mean()))
    table = fleets_frame(data)
    reported = table[table["fleet"] == name].set_index(["workload", "strategy"])["seconds"]
    assert len(reported) > 5
    assert seconds[reported.index].to_numpy() == pytest.approx(reported.to_numpy())


def test_every_method_that_a_question_names_is_one_of_the_plan():
    assert {method for pairs in PAIRS.values() for pair in pairs for method in pair} <= set(METHODS.values())
