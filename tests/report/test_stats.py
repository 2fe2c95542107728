"""Ratios and intervals against scipy, against numbers computed by hand, and with misses."""

import math

import numpy as np
import pandas as pd
import pytest

from fdabench.analysis.data import combine_results
from fdabench.analysis.outcomes import with_costs
from fdabench.analysis.stats import NO_RATIO, geometric_mean, paired_ratio
from fdabench.analysis.target import Headline
from fdabench.results.load import Results


def costs(
    values: list[float],
    reached: list[bool] | None = None,
    workloads: list[str] | None = None,
    before: list[float] | None = None,
    limit: float = 100.0,
) -> pd.DataFrame:
    """Outcomes of as many seeds; without `before` a cost is known to the last bit."""
    return pd.DataFrame(
        {
            "suite": "s",
            "workload": workloads or "w",
            "seed": range(len(values)),
            "reached": reached or [True] * len(values),
            "cost": values,
            "cost_before": before or values,
            "cost_limit": limit,
        }
    )


def test_ratio_of_two_seeds_by_hand() -> None:
    ratio = paired_ratio(costs([640.0, 960.0]), costs([384.0, 448.0]), "cost")
    logs = [math.log(640 / 384), math.log(960 / 448)]
    middle, spread = sum(logs) / 2, abs(logs[0] - logs[1]) / 2
    assert ratio.mean == pytest.approx(math.exp(middle))
    assert (ratio.low, ratio.high) == pytest.approx(
        (math.exp(middle - 12.7062047 * spread), math.exp(middle + 12.7062047 * spread))
    )
    assert (ratio.pairs, ratio.bound, ratio.left_out) == (2, "", 0)


def test_one_seed_has_no_interval() -> None:
    ratio = paired_ratio(costs([6.0]), costs([2.0]), "cost")
    assert ratio.mean == pytest.approx(3.0)
    assert not ratio.has_interval


def test_one_seed_reports_the_bound_between_two_evaluations() -> None:
    ratio = paired_ratio(costs([6.0], before=[5.0]), costs([2.0], before=[1.0]), "cost")
    assert (ratio.mean, ratio.grid_low, ratio.grid_high) == pytest.approx((3.0, 2.5, 6.0))
    assert not ratio.has_interval
    assert ratio.seeds == 1


def test_the_interval_of_equal_seeds_is_the_distance_of_evaluations() -> None:
    """Costs that fell between the same two evaluations are no evidence that seeds do not differ."""
    ratio = paired_ratio(costs([6.0] * 3, before=[5.0] * 3), costs([2.0] * 3, before=[1.0] * 3), "cost")
    assert (ratio.mean, ratio.low, ratio.high) == pytest.approx((3.0, 2.5, 6.0))


def test_a_hit_at_the_first_evaluation_has_one_limit() -> None:
    ratio = paired_ratio(costs([6.0] * 2, before=[0.0] * 2), costs([2.0] * 2), "cost")
    assert (ratio.bound, ratio.mean, ratio.high) == ("≤", pytest.approx(3.0), pytest.approx(3.0))
    assert math.isnan(ratio.low)


def test_misses_of_one_side_give_a_one_sided_limit() -> None:
    # each seed of the top spent 80 and missed; the bottom needed 9, 10 and 11 of 100
    top, bottom = costs([80.0] * 3, [False] * 3, limit=80.0), costs([9.0, 10.0, 11.0])
    ratio = paired_ratio(top, bottom, "cost")
    logs = np.log(80 / np.array([9.0, 10.0, 11.0]))
    limit = logs.mean() - 4.302653 * logs.std(ddof=1) / math.sqrt(3)
    assert (ratio.bound, ratio.pairs, ratio.left_out) == ("≥", 3, 0)
    assert ratio.low == pytest.approx(math.exp(limit), rel=1e-4)
    assert ratio.mean == ratio.low
    assert math.isnan(ratio.high)


def test_a_miss_of_one_seed_is_a_bound_of_that_run() -> None:
    ratio = paired_ratio(costs([8.0], [False]), costs([2.0], before=[1.0]), "cost")
    assert (ratio.bound, ratio.mean, ratio.seeds) == ("≥", pytest.approx(4.0), 1)
    assert not ratio.has_interval


def test_misses_of_both_sides_widen_the_interval_without_shrinking_the_ratio() -> None:
    """Budgets end at 20; what both reached is 4 times apart, and what one missed is cut for both."""
    top = costs([8.0, 8.4, 7.6, 8.0, 20.0, 8.2], [True, True, True, True, False, True], limit=20.0)
    bottom = costs([2.0, 2.1, 1.9, 20.0, 5.0, 2.0], [True, True, True, False, True, True], limit=20.0)
    ratio = paired_ratio(top, bottom, "cost")
    assert (ratio.pairs, ratio.left_out, ratio.neither, ratio.bound) == (6, 0, 0, "")
    # log(4 / d) is left of three pairs, log(4.1 / d) of one; log(20 / 5 / d) where the top missed; log(8 / 20), however
    # large d is, where the bottom missed. Their sum is 0 where d is this:
    assert ratio.mean == pytest.approx(math.exp((4 * math.log(4) + math.log(4.1) - math.log(2.5)) / 5))
    assert 1 < ratio.low < ratio.mean < ratio.high


def test_pairs_in_which_neither_side_reached_the_target_carry_no_information() -> None:
    top = costs([80.0, 80.0, 80.0, 80.0], [False] * 4, ["v", "w", "w", "w"], limit=80.0)
    bottom = costs([80.0, 9.0, 10.0, 11.0], [False, True, True, True], ["v", "w", "w", "w"], limit=80.0)
    both, one = paired_ratio(top, bottom, "cost"), paired_ratio(top.iloc[1:], bottom.iloc[1:], "cost")
    assert (both.low, both.bound, both.pairs) == (one.low, "≥", 3)
    assert (both.left_out, both.neither) == (1, 1)
    assert paired_ratio(top.iloc[:1], bottom.iloc[:1], "cost") is NO_RATIO


def test_more_misses_do_not_tighten_the_limit() -> None:
    """The bottom's misses: each takes something from what can be said of the top."""
    top = costs([80.0] * 6, [False] * 6, limit=80.0)
    values = [9.0, 10.0, 11.0, 10.0, 9.5, 10.5]
    limits = []
    for misses in range(5):
        reached = [seed >= misses for seed in range(6)]
        paid = [value if ok else 80.0 for value, ok in zip(values, reached, strict=True)]
        ratio = paired_ratio(top, costs(paid, reached, limit=80.0), "cost")
        limits.append(ratio.low if ratio.bound == "≥" else 0.0)
    assert limits == sorted(limits, reverse=True)
    assert limits[0] > 7
    assert limits[4] == 0


def test_a_strategy_that_missed_has_no_upper_bound() -> None:
    """Four pairs of two workloads, one miss: the t test leaves the lower end open, and the miss the upper one."""
    top = costs([51.0, 45.0, 90.0, 60.0], [True, True, False, True], ["v", "v", "w", "w"], limit=90.0)
    actual = [
        paired_ratio(top, costs([9.0, 8.0, last, 12.0], None, ["v", "v", "w", "w"], limit=limit), "cost").bound
        for last in (5.0, 14.0, 21.4, 23.1)
        for limit in (21.4, 23.1, 40.0, 90.0)
        if last <= limit
    ]
    assert "≤" not in actual


def test_two_seeds_and_a_miss_give_no_interval() -> None:
    """One pair of two is no evidence of anything at 95 %."""
    top = costs([20.0, 20.0], [False, False], limit=20.0)
    assert paired_ratio(top, costs([2.0, 9.0], limit=20.0), "cost") is NO_RATIO


def test_a_diverged_run_counts_as_a_miss() -> None:
    """It counts as more than any cost, so it looks no better than one that ended its budget, nor than one that hit."""
    bottom = costs([9.0, 10.0, 11.0, 10.0, 9.5, 10.5])
    values, reached = [20.0, 21.0, 19.0, 20.0, 21.0, 22.0], [True] * 5 + [False]
    hit = paired_ratio(costs(values), bottom, "cost")
    misses = paired_ratio(costs([*values[:5], 100.0], reached), bottom, "cost")
    diverged = paired_ratio(costs([*values[:5], math.nan], reached), bottom, "cost")
    assert (diverged.pairs, diverged.left_out) == (6, 0)
    assert (hit.bound, misses.bound, diverged.bound) == ("", "≥", "≥")
    assert hit.low > misses.low >= diverged.low > 1  # one pair fewer that tells how much more
    assert math.isnan(misses.high)


def test_a_strategy_that_always_diverged_is_compared_with_none() -> None:
    never = costs([math.nan] * 3, [False] * 3)
    assert paired_ratio(never, costs([9.0, 10.0, 11.0]), "cost") is NO_RATIO


def test_the_inverse_of_a_ratio_exchanges_its_limits() -> None:
    top, bottom = costs([2.0, 4.0], before=[1.5, 3.0]), costs([8.0, 8.0], before=[6.0, 7.0])
    ratio = paired_ratio(top, bottom, "cost").inverse()
    assert ratio.mean == pytest.approx(1 / math.sqrt(2 / 8 * 4 / 8))
    assert ratio.low < ratio.mean < ratio.high
    bound = paired_ratio(costs([80.0] * 3, [False] * 3, limit=80.0), costs([9.0, 10.0, 11.0]), "cost").inverse()
    assert (bound.bound, bound.mean) == ("≤", bound.high)
    assert math.isnan(bound.low)


def test_zero_costs_have_no_ratio() -> None:
    """As one worker in a ring."""
    assert paired_ratio(costs([0.0, 0.0]), costs([0.0, 0.0]), "cost") is NO_RATIO
    ratio = paired_ratio(costs([0.0, 6.0]), costs([2.0, 2.0]), "cost")
    assert (ratio.mean, ratio.pairs, ratio.left_out) == (pytest.approx(3.0), 1, 1)


def test_strategies_without_common_runs_have_no_ratio() -> None:
    assert paired_ratio(costs([1.0]), costs([1.0]).assign(workload="other"), "cost") is NO_RATIO


def test_outcomes_have_the_costs_of_the_previous_evaluation_and_of_the_budget(hand_made: Results) -> None:
    outcomes = combine_results([hand_made]).outcomes.set_index(["label", "seed"])
    synchronous, linear = outcomes.loc[("Synchronous", 1)], outcomes.loc[("LinearFDA θ=1", 0)]
    # at steps 4 and 6 of 8, the last of which is synchronized too: (1 + 8) * 160 bytes
    assert synchronous[["cost_steps_before", "cost_steps", "cost_steps_limit"]].tolist() == [4, 6, 8]
    assert synchronous[["cost_bytes_before", "cost_bytes", "cost_bytes_limit"]].tolist() == [640, 960, 1440]
    # at steps 2 and 4: 16 bytes of states in each step, and a sync after step 2
    assert linear[["cost_bytes_before", "cost_bytes", "cost_bytes_limit"]].tolist() == [192, 384, 320 + 8 * 16]


def test_a_cell_that_stopped_at_its_targets_is_extended_to_its_budget() -> None:
    common = {"workload": "w", "target": 0.9, "bytes_total": 100.0, "syncs": 1, "step": 10, "step_before": 0}
    common["final_value"] = 0.9
    frame = pd.DataFrame(
        [
            common | {"reached": True, "state": "target_reached", "spent": 100, "ran": 10, "bytes_before": 20.0},
            common | {"reached": False, "state": "done", "spent": 900, "ran": 40, "bytes_before": math.nan},
            common | {"reached": False, "state": "diverged", "spent": 90, "ran": 60, "bytes_before": math.nan},
        ]
    )
    target = Headline(0.9, 0.9, "named in the suite", after_runs=False)
    stopped, misses, diverged = with_costs(frame, target).to_dict("records")
    assert (stopped["cost_bytes_limit"], stopped["cost_steps_limit"], stopped["cost_steps_before"]) == (400, 40, 1)
    assert (misses["cost_bytes"], misses["cost_bytes_limit"], misses["cost_steps_limit"]) == (900, 900, 40)
    assert all(math.isnan(diverged[name]) for name in ("cost_bytes", "cost_bytes_limit", "cost_steps"))


def test_the_geometric_mean_of_given_numbers() -> None:
    assert geometric_mean(pd.Series([1.0, 100.0, math.nan])) == pytest.approx(10.0)
    assert math.isnan(geometric_mean(pd.Series([math.nan])))
