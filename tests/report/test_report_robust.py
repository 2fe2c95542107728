"""Interquartile means, bootstrap intervals, profiles, attainment and restricted means, worked out by hand."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fdabench.report.build import build_report
from fdabench.report.data import combine
from fdabench.report.figures.attainment import ATTAINMENT
from fdabench.report.figures.profile import PROFILE
from fdabench.report.profiles import area, profile, ratios_to_best, widest
from fdabench.report.resampling import interquartile_mean, stratified_interval
from fdabench.report.survival import attainment, common_limit, restricted_mean
from fdabench.results.load import Results


def test_interquartile_mean_leaves_a_quarter_out_at_each_end() -> None:
    # of eight values two go at each end: (2 + 3 + 4 + 7) / 4 = 4
    assert interquartile_mean([900, 3, 0, 2, 1, 7, 4, 50]) == pytest.approx(4.0)
    assert math.isnan(interquartile_mean([]))


def test_misses_count_as_infinity_up_to_a_quarter_of_the_cells() -> None:
    # of four values one goes at each end: (2 + 4) / 2; with two misses one of them stays
    assert interquartile_mean([1, 2, 4, math.inf]) == pytest.approx(3.0)
    assert interquartile_mean([1, 2, math.inf, math.inf]) == math.inf


def test_a_bootstrap_within_workloads_knows_nothing_of_how_they_differ() -> None:
    # seeds that agree: whatever is drawn within a workload, the middle half of 1 1 1 5 5 5 is 1 1 5 5
    assert stratified_interval([np.ones(3), np.full(3, 5.0)]) == (3.0, 3.0)


def test_bootstrap_of_three_values_by_hand() -> None:
    # of three nothing is cut (a quarter of 3 is none); 27 draws of 0, 0, 3: a mean of 0 in 8, 1 in 12, 2 in 6, 3 in 1.
    # 0 has 30 % and 3 has 3.7 %, both more than 2.5 %, so the interval is everything
    assert stratified_interval([np.array([0.0, 0.0, 3.0])]) == (0.0, 3.0)


def test_a_bootstrap_is_the_same_each_time_and_about_as_wide_as_theory() -> None:
    values = np.random.default_rng(1).normal(0, 1, 200)
    low, high = stratified_interval([values])
    assert (low, high) == stratified_interval([values])
    # the middle half of a normal sample has a standard error of about 1.09 / sqrt(n)
    assert high - low == pytest.approx(2 * 1.96 * 1.09 / math.sqrt(200), rel=0.25)


def test_an_interval_that_misses_reach_has_no_upper_end() -> None:
    # two of four missed: the middle half has a miss unless fewer are drawn
    low, high = stratified_interval([np.array([1.0, 2.0, math.inf, math.inf])])
    assert low < 3
    assert high == math.inf


def test_two_seeds_have_no_interval() -> None:
    assert np.isnan(stratified_interval([np.array([1.0, 2.0])])).all()
    assert np.isnan(stratified_interval([])).all()


def test_attainment_by_hand() -> None:
    # costs 10, 20+, 30, 40+ (+: missed). At 10 one of four gets there: 3/4 are left. The second goes at 20 without.
    # At 30 one of the two that are left gets there: 3/4 x 1/2 = 3/8 are left.
    costs, shares = attainment([10, 20, 30, 40], [True, False, True, False])
    assert costs.tolist() == [10, 30]
    assert shares == pytest.approx([0.25, 0.625])


def test_who_missed_at_the_same_cost_was_still_on_the_way() -> None:
    # at 10 two are on the way, one arrives: a half
    assert attainment([10, 10], [True, False])[1] == pytest.approx([0.5])
    assert attainment([10, 10], [False, False])[1].size == 0


def test_restricted_mean_by_hand() -> None:
    # the area under 1 up to 10, 3/4 up to 30, 3/8 up to 40: 10 + 15 + 3.75
    spent, reached = [10, 20, 30, 40], [True, False, True, False]
    assert restricted_mean(spent, reached, 40) == pytest.approx(28.75)
    assert restricted_mean(spent, reached, 20) == pytest.approx(10 + 7.5)
    # without misses it is the mean, capped: min(., 25) of 10, 20, 60 is 10 + 20 + 25 over 3
    assert restricted_mean([10, 20, 60], [True] * 3, 25) == pytest.approx(55 / 3)
    assert restricted_mean([10, 20, 60], [True] * 3, 60) == pytest.approx(30)
    assert math.isnan(restricted_mean([10, 20], [False, False], 20))


def test_the_common_limit_is_where_the_first_curve_ends() -> None:
    whole, short, long = ([10, 90], [True, True]), ([10, 40], [True, False]), ([50, 60], [False, True])
    never = ([5, 6], [False, False])
    assert common_limit([whole, long, never, short]) == 40
    assert common_limit([whole, never]) == 90
    assert math.isnan(common_limit([never]))


def outcomes(*rows: tuple[str, int, str, float | None]) -> pd.DataFrame:
    """Workload, seed, strategy, cost; no cost is a miss."""
    frame = pd.DataFrame(rows, columns=["workload", "seed", "label", "cost"]).assign(suite="s")
    return frame.assign(reached=frame["cost"].notna(), cost=frame["cost"].astype(float))


# of `easy` two seeds, of `hard` one; nobody reached the target of `hopeless`
COSTS = outcomes(
    ("easy", 0, "a", 1.0),
    ("easy", 0, "b", 4.0),
    ("easy", 1, "a", 6.0),
    ("easy", 1, "b", 3.0),
    ("hard", 0, "a", None),
    ("hard", 0, "b", 8.0),
    ("hopeless", 0, "a", None),
    ("hopeless", 0, "b", None),
)


def test_profiles_by_hand() -> None:
    ratios = ratios_to_best(COSTS, "cost")
    a, b = (ratios[ratios["label"] == label] for label in "ab")
    assert (a["ratio"].tolist(), b["ratio"].tolist()) == ([1, 2, math.inf], [4, 1, 1])
    # a: half of `easy` at once, all of it within 2, never `hard`
    # b: half of `easy` and all of `hard` at once, the rest within 4
    assert [each.tolist() for each in profile(a)] == [[1, 2], [0.25, 0.5]]
    assert [each.tolist() for each in profile(b)] == [[1, 4], [0.75, 1]]


def test_areas_by_hand() -> None:
    ratios = ratios_to_best(COSTS, "cost")
    assert widest(ratios) == 2
    # over two doublings: a is at 1/4 for one and at 1/2 for one; b at 3/4 for both
    assert area(ratios[ratios["label"] == "a"], 2) == pytest.approx((0.25 + 0.5) / 2)
    assert area(ratios[ratios["label"] == "b"], 2) == pytest.approx(0.75)


def test_who_has_no_company_is_compared_with_nobody() -> None:
    alone = ratios_to_best(outcomes(("easy", 0, "a", 1.0)), "cost")
    assert alone.empty
    assert widest(alone) == 1


def test_the_report_has_them_with_a_csv_beside(full: Results, tmp_path: Path) -> None:
    build_report([full], tmp_path)
    page = (tmp_path / "index.html").read_text()
    for name in ("middles", "restricted"):
        assert f'id="table-{name}"' in page
    for name in ("profile", "attainment"):
        assert f'id="figure-{name}"' in page
    middles = pd.read_csv(tmp_path / "tables" / "middles.csv").set_index("strategy")
    # of two workloads and three seeds; LinearFDA failed with one seed
    assert middles.loc["Synchronous", ["cells", "reached"]].tolist() == [6, 6]
    assert middles.loc["LinearFDA θ=1", "cells"] == 4
    assert middles.loc["FedAdam τ=50", "bytes_times_best_iqm"] == math.inf
    assert middles["profile_area"].between(0, 1).all()
    restricted = pd.read_csv(tmp_path / "tables" / "restricted.csv")
    never = restricted["reached"] == 0
    assert restricted.loc[never, "bytes_mean"].isna().all()
    assert (restricted.loc[~never, "steps_mean"] <= restricted.loc[~never, "steps_limit"]).all()


def test_one_workload_with_two_seeds_has_neither_figure(results_of: Callable[..., Results]) -> None:
    data = combine([results_of(seeds=(0, 1))])
    assert PROFILE.draw(data) is None
    assert ATTAINMENT.draw(data) is None
