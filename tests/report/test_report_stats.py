"""Ratios and intervals against scipy, against numbers worked out by hand, and with misses."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fdabench.report.stats import NO_RATIO, geometric_mean, mean_interval, paired_ratio


def costs(values: list[float], reached: list[bool] | None = None, workloads: list[str] | None = None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "suite": "s",
            "workload": workloads or "w",
            "seed": range(len(values)),
            "reached": reached or [True] * len(values),
            "cost": values,
        }
    )


def test_one_stratum_is_the_t_interval_of_scipy() -> None:
    values = np.array([0.3, 0.5, 0.1, 0.9])
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(values, np.zeros(4, dtype=int)) == pytest.approx((0.45, expected.low, expected.high))


def test_strata_keep_workloads_out_of_the_noise() -> None:
    values, strata = np.array([1.0, 1.2, 5.0, 5.2]), np.array([0, 0, 1, 1])
    mean, low, high = mean_interval(values, strata)
    # Within strata: two residual sums of squares of 0.02 on two degrees of freedom, so a standard error of 0.0707.
    half = 4.302653 * math.sqrt(0.02 * (1 / 2 + 1 / 2)) / 2
    assert (mean, low, high) == pytest.approx((3.1, 3.1 - half, 3.1 + half))


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


@pytest.mark.parametrize(
    ("top", "bottom", "bound", "pairs"),
    [
        ([True, False], [True, True], "≥", 2),
        ([True, True], [False, True], "≤", 2),
        ([True, False], [True, False], "", 1),
        ([False, False], [False, False], "", 0),
    ],
)
def test_a_miss_makes_a_bound(top: list[bool], bottom: list[bool], bound: str, pairs: int) -> None:
    ratio = paired_ratio(costs([8.0, 8.0], top), costs([2.0, 2.0], bottom), "cost")
    assert (ratio.bound, ratio.pairs) == (bound, pairs)


def test_misses_on_both_sides_leave_the_pairs_that_both_reached() -> None:
    top, bottom = costs([8.0, 9.0, 6.0], [True, False, True]), costs([2.0, 1.0, 1.0], [True, True, False])
    ratio = paired_ratio(top, bottom, "cost")
    assert ratio.mean == pytest.approx(4.0)
    assert (ratio.pairs, ratio.left_out, ratio.bound) == (1, 2, "")


def test_divergence_bounds_nothing_but_is_told() -> None:
    ratio = paired_ratio(costs([8.0, math.nan], [True, False]), costs([2.0, 2.0]), "cost")
    assert ratio.mean == pytest.approx(4.0)
    assert (ratio.bound, ratio.left_out) == ("≥", 1)


def test_inverse_turns_everything_round() -> None:
    ratio = paired_ratio(costs([2.0, 4.0], [True, False]), costs([8.0, 8.0]), "cost").inverse()
    assert ratio.mean == pytest.approx(1 / math.sqrt(2 / 8 * 4 / 8))
    assert ratio.bound == "≤"
    assert ratio.low < ratio.mean < ratio.high


def test_what_costs_nothing_has_no_ratio() -> None:
    """As one worker in a ring."""
    assert paired_ratio(costs([0.0, 0.0]), costs([0.0, 0.0]), "cost") is NO_RATIO
    ratio = paired_ratio(costs([0.0, 6.0]), costs([2.0, 2.0]), "cost")
    assert (ratio.mean, ratio.pairs, ratio.left_out) == (pytest.approx(3.0), 1, 1)


def test_nothing_in_common() -> None:
    assert paired_ratio(costs([1.0]), costs([1.0]).assign(workload="other"), "cost") is NO_RATIO


def test_geometric_mean() -> None:
    assert geometric_mean(pd.Series([1.0, 100.0, math.nan])) == pytest.approx(10.0)
    assert math.isnan(geometric_mean(pd.Series([math.nan])))
