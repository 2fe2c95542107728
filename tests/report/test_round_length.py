"""The slope of round lengths on learning rates, for rounds from a formula and from simulated workers."""

import math
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.report.tables.build import ReportTable
from fdabench.report.tables.round_length import round_length_tables
from fdabench.report.tables.round_length_fit import fit_round_length, mean_round_lengths

STEPS = 20_000


def cosine(t: int, peak: float = 0.1, final: float = 0.005) -> float:
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * t / STEPS))


def rounds_of(lengths: list[int]) -> pd.DataFrame:
    """Rounds of these lengths under the cosine, as the table `rounds` has them."""
    stops = np.cumsum(lengths)
    lrs = [
        np.mean([cosine(t) for t in range(stop - length, stop)]) for stop, length in zip(stops, lengths, strict=True)
    ]
    return pd.DataFrame({"step": stops, "steps": lengths, "lr": lrs})


def slope_of(rounds: pd.DataFrame) -> float:
    return fit_round_length(rounds).slope


def by_rule(power: float, scale: float) -> list[int]:
    """Rounds of the quadratic synchronization rule, with any power."""
    actual, t = [], 0
    while (h := round((scale / cosine(t)) ** power)) + t <= STEPS:
        actual.append(h)
        t += h
    return actual


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_rounds_made_by_a_power_of_the_learning_rate_have_that_slope(power: float) -> None:
    """To the rounding of short rounds, and to what the learning rate falls within a round."""
    assert slope_of(rounds_of(by_rule(power, 0.2 if power == 2 else 0.5))) == pytest.approx(-power, abs=0.1)


def test_the_interval_of_a_slope_is_that_of_a_regression() -> None:
    """By hand: log2(steps) is 0, 3, 3 at log2(1 / lr) = 0, 1, 2; the residuals are -1/2, 1, -1/2."""
    fit = fit_round_length(pd.DataFrame({"lr": [1.0, 0.5, 0.25], "steps": [1, 8, 8]}))
    half = 12.7062 * math.sqrt(1.5 / 2)
    assert fit[:3] == pytest.approx((-1.5, -1.5 - half, -1.5 + half), rel=1e-4)


def by_variance(noise: float, difference: float, theta: float) -> list[int]:
    """Four workers in 200 dimensions, averaged once their variance exceeds theta; no common loss."""
    random = np.random.default_rng(0)
    pull_KD = random.normal(0, difference, (4, 200))
    actual: list[int] = []
    u_KD, length = np.zeros((4, 200)), 0
    for t in range(STEPS):
        u_KD = u_KD - cosine(t) * (pull_KD + random.normal(0, noise, u_KD.shape))
        length += 1
        if (u_KD**2).sum(1).mean() - (u_KD.mean(0) ** 2).sum() > theta:
            actual, u_KD, length = [*actual, length], np.zeros_like(u_KD), 0
    return actual


def test_a_fixed_theta_has_slope_minus_two_if_drifts_come_from_noise() -> None:
    assert slope_of(rounds_of(by_variance(1.0, 0.0, theta=8.0))) == pytest.approx(-2, abs=0.1)


def test_a_fixed_theta_has_slope_minus_one_if_drifts_come_from_heterogeneous_data() -> None:
    assert slope_of(rounds_of(by_variance(0.0, 1.0, theta=50.0))) == pytest.approx(-1, abs=0.1)


def test_with_noise_and_heterogeneous_data_the_slope_is_between() -> None:
    assert -1.9 < slope_of(rounds_of(by_variance(1.0, 0.2, theta=8.0))) < -1.1


def test_many_short_rounds_have_no_more_weight_than_few_long_ones() -> None:
    rounds = pd.DataFrame({"lr": [0.1] * 1000 + [0.05, 0.01], "steps": [1] * 1000 + [4, 100]})
    assert mean_round_lengths(rounds)["rounds"].tolist() == [1, 1, 1000]
    assert slope_of(rounds) == pytest.approx(-2)


@pytest.mark.parametrize(
    "rounds",
    [
        {"lr": [], "steps": []},
        {"lr": [0.1] * 9, "steps": [5] * 9},
        {"lr": [0.1, 0.09, 0.08, 0.07], "steps": [5, 6, 7, 8]},
        {"lr": [0.1, 0.01], "steps": [1, 100]},
        {"lr": [math.nan] * 5, "steps": [5] * 5},
        {"lr": [0.0, 0.0, 0.0], "steps": [5, 5, 5]},
    ],
)
def test_without_learning_rates_that_differ_there_is_no_slope(rounds: dict[str, list[float]]) -> None:
    assert math.isnan(slope_of(pd.DataFrame(rounds, dtype=float)))


def table(rounds: pd.DataFrame) -> list[ReportTable]:
    cell = {**dict.fromkeys(WORKLOAD, "w"), "label": "FDA", "cell_id": "c"}
    data = SimpleNamespace(
        runs=pd.DataFrame([{**cell, "steps": STEPS}]),
        rounds=rounds.assign(**cell),
        workload_title=lambda *names: "here",
    )
    return round_length_tables(cast(ReportData, data))


def test_the_table_leaves_out_the_first_and_the_last_incomplete_round() -> None:
    lengths = by_rule(2.0, 0.2)
    whole = rounds_of([*lengths, STEPS - sum(lengths)])
    (actual,) = table(whole)
    begins = whole["step"] - whole["steps"]
    stored = whole[(begins >= STEPS / 4) & (whole["step"] < STEPS)]
    assert actual.frame["rounds"].tolist() == [len(stored)]
    assert actual.frame["slope"].tolist() == [slope_of(stored)]
    assert actual.rows[0][-1].startswith(f"−{-actual.frame['slope'][0]:.2f} [−")


def test_a_constant_learning_rate_makes_no_table() -> None:
    assert table(pd.DataFrame({"step": [1000, 2000, 3000], "steps": [1000] * 3, "lr": [0.1] * 3})) == []
