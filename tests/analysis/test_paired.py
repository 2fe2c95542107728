"""The estimator of paired ratios: its invariances, and the coverage of its intervals.

The slow tests draw the cases of docs/results.md, 600 times each. Of a coverage of 90 % a draw of 600 shows less than
87 % once in a hundred times (a binomial error of 1.2 points), so 90 % shown is asked of what should be 95 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

from fdabench.analysis.paired import LogCosts, design_of, estimate, half_widths
from fdabench.analysis.stats import NO_RATIO, PAIR, Ratio, columns_of, paired_ratio, ratio_of

DRAWS = 600
Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Case:
    """Costs are log-normal around 800, those of the top around `ratio` times that; workloads have the same seeds.

    Args:
        sd: of a run's log cost, by itself; `shared` of what all workloads' runs of a side have in common with a seed.
        grid: costs are read at its multiples only; 0 reads them as they are.
        budget: where runs end, reached or not.
        diverge: share of the top's runs that never get there.
        apart: how far the log ratios of the first and the last workload lie apart, evenly spaced around their mean.
        steadier: the bottom's `sd` is so many times smaller.
    """

    workloads: int
    seeds: int
    ratio: float = 1.1
    sd: float = 0.03
    shared: float = 0.0
    grid: float = 0.0
    budget: float = 1e9
    diverge: float = 0.0
    apart: float = 0.0
    steadier: float = 1.0

    def draw(self, random: np.random.Generator) -> pd.DataFrame:
        """Pairs, as `ratio_of` takes them."""
        workload, seed = (
            np.repeat(np.arange(self.workloads), self.seeds),
            np.tile(np.arange(self.seeds), self.workloads),
        )
        places = np.linspace(-self.apart / 2, self.apart / 2, self.workloads)[workload]
        never = random.random(len(seed)) < self.diverge
        top = self._side(random, math.log(800 * self.ratio) + places, self.sd, seed, never)
        bottom = self._side(random, np.full(len(seed), math.log(800)), self.sd / self.steadier, seed, never & False)
        sides = {f"{name}_{end}": values for end, side in (("t", top), ("b", bottom)) for name, values in side.items()}
        return pd.DataFrame({"suite": "s", "workload": workload, "seed": seed, **sides})

    def _side(
        self, random: np.random.Generator, middle: Values, sd: float, seed: Values, never: Values
    ) -> dict[str, Values]:
        true = np.exp(middle + random.normal(0, sd, len(seed)) + random.normal(0, self.shared, self.seeds)[seed])
        read = np.ceil(true / self.grid) * self.grid if self.grid else true
        reached = (read <= self.budget) & ~never
        return {
            "reached": reached,
            "cost": np.where(never, np.nan, np.where(reached, read, self.budget)),
            "cost_before": np.where(reached, read - self.grid, np.nan),
            "cost_limit": np.where(never, np.nan, self.budget),
        }


@dataclass(frozen=True)
class Shares:
    """Shares of the draws: the kinds of results, and how often they were wrong. Widths are on the log scale."""

    coverage: float
    intervals: float
    at_least: float
    false_at_least: float
    at_most: float
    nothing: float
    width: float
    narrowest: float


def simulate(case: Case, draws: int = DRAWS) -> Shares:
    random = np.random.default_rng(0)
    ratios = [ratio_of(case.draw(random), "cost") for _ in range(draws)]
    low = np.array([0 if math.isnan(ratio.low) else ratio.low for ratio in ratios])
    high = np.array([math.inf if math.isnan(ratio.high) else ratio.high for ratio in ratios])
    bounds = np.array([ratio.bound for ratio in ratios])
    both = np.array([ratio.has_interval for ratio in ratios])
    widths = np.log(high[both] / low[both])
    return Shares(
        coverage=float(np.mean((low <= case.ratio) & (case.ratio <= high))),
        intervals=float(both.mean()),
        at_least=float((bounds == "≥").mean()),
        false_at_least=float(((bounds == "≥") & (low > case.ratio)).mean()),
        at_most=float((bounds == "≤").mean()),
        nothing=float(np.mean([not ratio.pairs for ratio in ratios])),
        width=float(np.median(widths)) if both.any() else math.nan,
        narrowest=float(widths.min()) if both.any() else math.nan,
    )


GRIDS = [Case(w, s, grid=grid) for w, s in ((1, 2), (1, 3), (3, 3)) for grid in (0, 50, 100, 375)]
SHARED = [Case(w, s, shared=0.05) for w, s in ((3, 3), (3, 5), (6, 3))]
CENSORED = [
    Case(w, s, ratio, 0.3, 0, 0, end) for w, s in ((3, 3), (1, 9)) for ratio in (1.3, 1.0) for end in (1200, 900, 700)
]
TOGETHER = [
    Case(3, 3, shared=0.05, grid=50),
    Case(3, 5, 1.3, 0.3, grid=100, budget=900),
    Case(3, 3, 1.0, 0.2, 0.2, 0, 900),
    Case(6, 3, 1.0, 0.2, 0.2, 0, 900),
    Case(3, 3, 4.0, 0.1, 0, 50, 1600),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", [*GRIDS, *SHARED, *CENSORED, *TOGETHER], ids=str)
def test_intervals_have_their_nominal_coverage(case: Case) -> None:
    shares = simulate(case)
    print(f"\n{case}\n{shares}")  # pytest -s: the table of docs/results.md
    assert shares.coverage >= 0.9
    assert shares.false_at_least <= 0.05
    if case.grid and shares.intervals:
        assert shares.narrowest > 0


@pytest.mark.slow
@pytest.mark.parametrize("case", [Case(1, 2), Case(1, 3), Case(3, 3), Case(3, 3, grid=50)], ids=str)
def test_intervals_are_not_wider_than_a_valid_t_interval(case: Case) -> None:
    random, widths = np.random.default_rng(0), []
    for _ in range(DRAWS):
        pairs = case.draw(random)
        logs, strata = np.log(pairs["cost_t"] / pairs["cost_b"]).to_numpy(), pairs["workload"].to_numpy()
        rest = logs - np.array([logs[strata == stratum].mean() for stratum in strata])
        freedom = len(logs) - case.workloads
        widths.append(2 * stats.t.ppf(0.975, freedom) * math.sqrt((rest**2).sum() / freedom / len(logs)))
    assert simulate(case).width <= 1.75 * np.median(widths)


@pytest.mark.slow
@pytest.mark.parametrize("diverge", [0.1, 0.3])
def test_a_diverged_run_does_not_improve_the_ratio(diverge: float) -> None:
    """Both needed as much where they got there: the top must hardly ever be called cheaper."""
    random, case = np.random.default_rng(0), Case(3, 3, 1.0, 0.1, budget=1200, diverge=diverge)
    ratios = [ratio_of(case.draw(random), "cost") for _ in range(DRAWS)]
    assert np.mean([ratio.high < 1 for ratio in ratios]) <= 0.025


STRAINED = [
    Case(3, 3, 1.3, 0.2, budget=1000, apart=0.4),
    Case(3, 5, 1.0, 0.2, budget=900, apart=0.4),
    Case(3, 3, 1.3, 0.3, budget=1000, steadier=3),
    Case(3, 5, 1.0, 0.3, budget=900, steadier=3),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", STRAINED, ids=str)
def test_intervals_are_robust_to_the_assumption_about_misses(case: Case) -> None:
    """Misses, and workloads whose ratios differ, or a side that scatters three times less than the other."""
    shares = simulate(case)
    print(f"\n{case}\n{shares}")
    assert shares.coverage >= 0.9
    assert shares.false_at_least <= 0.05


def frames(case: Case, seed: int = 0) -> tuple[pd.DataFrame, ...]:
    pairs = case.draw(np.random.default_rng(seed))
    return tuple(
        pairs[[*PAIR, *(f"{name}_{side}" for name in columns_of("cost"))]].rename(
            columns={f"{name}_{side}": name for name in columns_of("cost")}
        )
        for side in "tb"
    )


def numbers(ratio: Ratio) -> Sequence[float]:
    return (ratio.mean, ratio.low, ratio.high, ratio.grid_low, ratio.grid_high)


WITHOUT, WITH = Case(3, 3, 1.3, 0.1, grid=50), Case(3, 5, 1.2, 0.2, grid=50, budget=1000)


@pytest.mark.parametrize("case", [WITHOUT, WITH], ids=["all reached", "misses"])
class TestWhatMustNotMatter:
    def test_the_ratio_does_not_depend_on_the_unit(self, case: Case) -> None:
        top, bottom = frames(case)
        columns = ["cost", "cost_before", "cost_limit"]
        scaled = [side.assign(**{name: side[name] * 4096 for name in columns}) for side in (top, bottom)]
        assert numbers(paired_ratio(*scaled, "cost")) == pytest.approx(
            numbers(paired_ratio(top, bottom, "cost")), nan_ok=True
        )

    def test_the_ratio_does_not_depend_on_the_order_of_rows(self, case: Case) -> None:
        top, bottom = frames(case)
        mixed = top.sample(frac=1, random_state=1), bottom.sample(frac=1, random_state=2)
        assert numbers(paired_ratio(*mixed, "cost")) == pytest.approx(
            numbers(paired_ratio(top, bottom, "cost")), nan_ok=True
        )

    def test_exchanging_the_sides_inverts_the_ratio(self, case: Case) -> None:
        top, bottom = frames(case)
        swapped = paired_ratio(bottom, top, "cost").inverse()
        ratio = paired_ratio(top, bottom, "cost")
        assert numbers(swapped) == pytest.approx(numbers(ratio), rel=1e-3, nan_ok=True)
        assert (swapped.bound, swapped.pairs) == (ratio.bound, ratio.pairs)

    def test_a_workload_without_a_reached_target_does_not_change_the_ratio(self, case: Case) -> None:
        top, bottom = frames(case)
        misses = [side.head(3).assign(workload=9, reached=False, cost=70.0, cost_limit=70.0) for side in (top, bottom)]
        more = paired_ratio(pd.concat([top, misses[0]]), pd.concat([bottom, misses[1]]), "cost")
        ratio = paired_ratio(top, bottom, "cost")
        assert numbers(more) == pytest.approx(numbers(ratio), nan_ok=True)
        assert (more.pairs, more.neither - ratio.neither) == (ratio.pairs, 3)


def test_the_simulated_cases_have_their_named_properties() -> None:
    assert paired_ratio(*frames(WITHOUT), "cost").has_interval
    top, bottom = frames(WITH)
    assert not top["reached"].all()
    assert not bottom["reached"].all()
    assert paired_ratio(top, bottom, "cost").pairs


def test_without_misses_and_grid_the_interval_is_the_t_interval_of_scipy() -> None:
    top, bottom = np.array([0.3, 0.5, 0.1, 0.9]), np.array([0.0, 0.1, 0.0, 0.2])
    sides = [LogCosts(logs, logs, logs + 9, np.ones(4, dtype=bool)) for logs in (top, bottom)]
    actual = estimate(*sides, design_of(np.zeros(4, dtype=int), np.arange(4)))
    expected = stats.ttest_1samp(top - bottom, 0).confidence_interval(0.95)
    assert (actual.mean, actual.low, actual.high) == pytest.approx((0.375, expected.low, expected.high))


def test_the_larger_of_two_standard_errors_is_used() -> None:
    workloads, seeds = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 0, 1, 2])
    design = design_of(workloads, seeds)
    # seeds do the same in both workloads: three values, whose t interval has two degrees of freedom
    equal = np.array([0.0, 1.0, 2.0, 5.0, 6.0, 7.0])
    # seeds do the opposite: six values within two workloads, four degrees of freedom
    opposite = np.array([0.0, 1.0, 2.0, 7.0, 6.0, 5.0])
    halves = half_widths(np.stack([equal, opposite]), design)
    assert halves == pytest.approx([4.302653 / math.sqrt(3), 2.776445 * math.sqrt(4 / 4 * (1 / 3 + 1 / 3)) / 2])


@pytest.mark.filterwarnings("error")
def test_for_any_misses_the_result_is_an_interval_a_limit_or_empty() -> None:
    random = np.random.default_rng(0)
    answers = set()
    for _ in range(400):
        workloads, seeds = int(random.integers(1, 4)), int(random.integers(1, 5))
        budget, grid = float(random.choice([600, 800, 1000, 1e9])), float(random.choice([0, 50, 400, 800]))
        diverge = float(random.choice([0, 0.2, 0.9]))
        case = Case(workloads, seeds, float(random.choice([0.3, 1, 3])), 0.2, 0.1, grid, budget, diverge)
        pairs = case.draw(random).sample(frac=0.9, random_state=0)
        free = random.random(len(pairs)) < random.choice([0, 0.3])
        pairs = pairs.assign(cost_t=pairs["cost_t"].mask(free, 0), cost_before_t=pairs["cost_before_t"].mask(free, 0))
        ratio = ratio_of(pairs, "cost")
        answers.add((ratio.bound, ratio.has_interval, ratio.pairs > 0))
        if not ratio.pairs:
            assert ratio is NO_RATIO
            continue
        assert math.isfinite(ratio.mean)
        assert ratio.pairs + ratio.left_out == len(pairs)
        if ratio.bound:
            assert ratio.mean == (ratio.low if ratio.bound == "≥" else ratio.high)
            assert math.isnan(ratio.high if ratio.bound == "≥" else ratio.low)
        elif ratio.seeds == 1 or not ratio.has_interval:
            assert math.isnan(ratio.low)
            assert math.isnan(ratio.high)
        else:
            assert ratio.low <= ratio.mean <= ratio.high
    assert answers == {("", True, True), ("", False, True), ("≥", False, True), ("≤", False, True), ("", False, False)}
