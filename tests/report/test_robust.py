"""Interquartile means, bootstrap intervals, profiles, attainment and restricted means, computed by hand."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fdabench.analysis.data import combine_results
from fdabench.analysis.profiles import log2_range, profile, profile_area, ratios_to_best
from fdabench.analysis.resampling import bootstrap_interval, interquartile_mean
from fdabench.analysis.survival import common_end, kaplan_meier
from fdabench.report.figures.attainment import ATTAINMENT
from fdabench.report.figures.profile import PROFILE
from fdabench.report.tables.robust import restricted_frame
from fdabench.results.load import Results


def test_the_interquartile_mean_drops_a_quarter_at_each_end() -> None:
    # of eight values two go at each end: (2 + 3 + 4 + 7) / 4 = 4
    assert interquartile_mean([900, 3, 0, 2, 1, 7, 4, 50]) == pytest.approx(4.0)
    assert math.isnan(interquartile_mean([]))


def test_misses_count_as_infinity_up_to_a_quarter_of_the_cells() -> None:
    # of four values one goes at each end: (2 + 4) / 2; with two misses one of them stays
    assert interquartile_mean([1, 2, 4, math.inf]) == pytest.approx(3.0)
    assert interquartile_mean([1, 2, math.inf, math.inf]) == math.inf


def draw(*workloads: list[float]) -> tuple[float, float]:
    """The interval of workloads whose seeds are numbered from 0."""
    values = np.concatenate(workloads)
    places = np.repeat(np.arange(len(workloads)), [len(values) for values in workloads])
    return bootstrap_interval(values, places, np.concatenate([np.arange(len(values)) for values in workloads]))


def test_a_bootstrap_within_workloads_ignores_differences_between_workloads() -> None:
    # seeds that agree: whatever is drawn within a workload, four of each are left, whose middle half is 1 1 5 5
    assert draw([1.0] * 5, [5.0] * 5) == (3.0, 3.0)


def test_bootstrap_of_five_values_by_hand() -> None:
    # four of 0 0 0 0 5 are drawn, and one goes at each end: 0 unless two or more are 5, which has 18 %; 5 if three or
    # more are, which has 2.7 %, more than the 2.5 % of a tail
    assert draw([0.0, 0.0, 0.0, 0.0, 5.0]) == (0.0, 5.0)


def test_seeds_that_workloads_share_are_resampled_together() -> None:
    random = np.random.default_rng(2)
    seeds = random.normal(0, 1, 8)
    shared = draw(*(list(seeds + random.normal(0, 0.01, 8)) for _ in range(9)))
    own = draw(*(list(random.permutation(seeds)) for _ in range(9)))
    assert shared[1] - shared[0] > 1.5 * (own[1] - own[0])


def test_a_bootstrap_is_the_same_each_time_and_about_as_wide_as_theory() -> None:
    values = list(np.random.default_rng(1).normal(0, 1, 200))
    low, high = draw(values)
    assert (low, high) == draw(values)
    # the middle half of a normal sample has a standard error of about 1.09 / sqrt(n)
    assert high - low == pytest.approx(2 * 1.96 * 1.09 / math.sqrt(200), rel=0.25)


def test_an_interval_that_includes_misses_has_no_upper_end() -> None:
    # two of five missed: the middle half has a miss unless fewer are drawn
    low, high = draw([1.0, 2.0, 2.5, math.inf, math.inf])
    assert low < 3
    assert high == math.inf


def test_a_cell_without_a_result_has_no_value() -> None:
    values, places, seeds = np.arange(11.0), np.array([0] * 6 + [1] * 5), np.array([*range(6), *range(5)])
    low, high = bootstrap_interval(values, places, seeds)
    assert 0 <= low < 5 < high <= 10


def test_four_seeds_have_no_bootstrap_interval() -> None:
    assert np.isnan(draw([1.0, 2.0, 3.0, 4.0])).all()
    assert np.isnan(draw([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0])).all()
    assert np.isnan(draw([])).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workloads", "shared", "least"), [(1, 0.0, 0.9), (3, 0.0, 0.85), (3, 0.1, 0.8), (6, 0.1, 0.8)]
)
def test_bootstrap_intervals_of_five_seeds_have_their_nominal_coverage(
    workloads: int, shared: float, least: float
) -> None:
    """300 draws each, binomial error 2 points; a percentile interval of five seeds is known to be a little narrow."""
    random, stored = np.random.default_rng(0), 0
    middles, places = np.repeat(np.arange(workloads) - (workloads - 1) / 2, 5), np.repeat(np.arange(workloads), 5)
    seeds = np.tile(np.arange(5), workloads)
    for _ in range(300):
        values = middles + random.normal(0, 0.06 if shared else 0.1, len(seeds)) + random.normal(0, shared, 5)[seeds]
        low, high = bootstrap_interval(values, places, seeds)
        stored += low <= 0 <= high
    assert stored / 300 >= least


def test_attainment_by_hand() -> None:
    # costs 10, 20+, 30, 40+ (+: missed). At 10 one of four gets there: 3/4 are left. The second goes at 20 without.
    # At 30 one of the two that are left gets there: 3/4 x 1/2 = 3/8 are left.
    costs, shares = kaplan_meier([10, 20, 30, 40], [True, False, True, False])
    assert costs.tolist() == [10, 30]
    assert shares == pytest.approx([0.25, 0.625])


def test_a_miss_at_the_same_cost_counts_as_still_at_risk() -> None:
    # at 10 two are on the way, one arrives: a half
    assert kaplan_meier([10, 10], [True, False])[1] == pytest.approx([0.5])
    assert kaplan_meier([10, 10], [False, False])[1].size == 0


def test_the_common_end_is_where_the_first_miss_stopped() -> None:
    # 40 and 60 missed; one that diverged, told by no number, never stops
    assert common_end([10, 90, 40, 60, math.nan], [True, True, False, False, False]) == 40
    assert common_end([10, 90, math.nan], [True, True, False]) == 90
    assert math.isnan(common_end([math.nan], [False]))


def test_restricted_means_by_hand(hand_made: Results) -> None:
    """Synchronous reaches 90 % at steps 4 and 6, the other at 4 and 8, of 8: nobody missed, and the end is 8."""
    synchronous, linear = restricted_frame(combine_results([hand_made])).to_dict("records")
    assert (synchronous["steps_mean"], linear["steps_mean"]) == (5, 6)
    assert (synchronous["bytes_mean"], linear["bytes_mean"]) == ((640 + 960) / 2, (384 + 448) / 2)
    assert synchronous["steps_limit"] == linear["steps_limit"] == 8


def test_restricted_means_count_misses_up_to_the_common_step(hand_made: Results) -> None:
    """One cell missed and stopped at step 6, where Synchronous had spent (1 + 5) * 160 bytes."""
    data = combine_results([hand_made])
    outcomes = data.outcomes.copy()
    last = outcomes.index[-1]
    outcomes.loc[last, ["reached", "cost_steps", "cost_bytes", "ran", "spent"]] = [False, 6.0, 416.0, 6, 416]
    evals = data.evals.assign(bytes_total=data.evals["step"].map({2: 320, 4: 640, 6: 960, 8: 1280}))
    synchronous, linear = restricted_frame(replace(data, outcomes=outcomes, evals=evals)).to_dict("records")
    assert synchronous["steps_limit"] == 6
    assert (synchronous["steps_mean"], synchronous["bytes_mean"]) == (5, 800)
    assert (linear["steps_mean"], linear["bytes_mean"]) == ((4 + 6) / 2, (384 + 416) / 2)
    # a miss that ran to 8 had spent what the evaluation of step 6 says
    first = outcomes.index[0]
    outcomes.loc[first, ["reached", "cost_steps", "cost_bytes"]] = [False, 8.0, 1280.0]
    synchronous, _ = restricted_frame(replace(data, outcomes=outcomes, evals=evals)).to_dict("records")
    assert (synchronous["steps_mean"], synchronous["bytes_mean"]) == (6, 960)
    # one that diverged at step 3 goes on as fast
    outcomes.loc[first, ["cost_steps", "cost_bytes", "ran", "spent"]] = [math.nan, math.nan, 3, 500]
    synchronous, _ = restricted_frame(replace(data, outcomes=outcomes, evals=evals)).to_dict("records")
    assert (synchronous["steps_mean"], synchronous["bytes_mean"]) == (6, (1000 + 960) / 2)


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
    assert [item.tolist() for item in profile(a)] == [[1, 2], [0.25, 0.5]]
    assert [item.tolist() for item in profile(b)] == [[1, 4], [0.75, 1]]


def test_areas_by_hand() -> None:
    ratios = ratios_to_best(COSTS, "cost")
    assert log2_range(ratios) == 2
    # over two doublings: a is at 1/4 for one and at 1/2 for one; b at 3/4 for both
    assert profile_area(ratios[ratios["label"] == "a"], 2) == pytest.approx((0.25 + 0.5) / 2)
    assert profile_area(ratios[ratios["label"] == "b"], 2) == pytest.approx(0.75)


def test_a_strategy_without_a_common_run_is_compared_with_none() -> None:
    alone = ratios_to_best(outcomes(("easy", 0, "a", 1.0)), "cost")
    assert alone.empty
    assert log2_range(alone) == 1


def test_the_report_has_the_robust_figures_with_csv_files(full_report: Any) -> None:
    page = (full_report.folder / "index.html").read_text()
    for name in ("middles", "restricted"):
        assert f'id="table-{name}"' in page
    assert 'id="figure-attainment"' in page
    assert 'id="figure-profile"' not in page, "two workloads of three seeds are fewer than the 8 pairs that it takes"
    middles = pd.read_csv(full_report.folder / "tables" / "middles.csv").set_index("strategy")
    # of two workloads and three seeds; LinearFDA failed with one seed
    assert middles.loc["Synchronous", ["cells", "reached"]].tolist() == [6, 6]
    assert middles.loc["LinearFDA θ=1", "cells"] == 4
    assert middles.loc["FedAdam τ=50", "bytes_times_best_iqm"] == math.inf
    assert middles["profile_area"].between(0, 1).all()
    restricted = pd.read_csv(full_report.folder / "tables" / "restricted.csv")
    never = restricted["reached"] == 0
    assert never.any()
    assert (restricted.loc[never, "steps_mean"] == restricted.loc[never, "steps_limit"]).all()
    assert (restricted["steps_mean"] <= restricted["steps_limit"]).all()
    assert (restricted["bytes_mean"] > 0).all()


def test_one_workload_with_two_seeds_has_neither_figure(results_of: Callable[..., Results]) -> None:
    data = combine_results([results_of(seeds=(0, 1))])
    assert PROFILE.draw(data) is None
    assert ATTAINMENT.draw(data) is None
