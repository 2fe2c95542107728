"""The error rates of the gate by simulation, and properties of its statistics."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from fdabench.gate.compare.noisy import check_noisy_metrics
from fdabench.gate.compare.samples import MetricLosses
from fdabench.gate.compare.settings import GateConfig
from fdabench.gate.compare.stats import Losses, holm, moderated_t, suite_wide_test
from fdabench.gate.compare.verdict import Finding, SuiteWideTest, Verdict

CELLS, SD, MARGIN = 24, 0.003, 0.005
GATE = GateConfig(accuracy_margin=MARGIN)
Judged = tuple[list[Finding], list[SuiteWideTest]]
Simulated = Callable[..., list[Judged]]


@pytest.fixture
def simulated() -> Simulated:
    """Simulate many runs of a suite of 24 cells with independent noise before and after, and return the verdicts."""

    def simulate(seeds: int, repeats: int, bad: float = 0.0, everywhere: float = 0.0) -> list[Judged]:
        rng = np.random.default_rng([seeds, repeats])
        judged = []
        for _ in range(repeats):
            before, after = rng.normal(0.9, SD, (2, CELLS, seeds))
            losses = before - after + everywhere
            losses[0] += bad
            samples = [MetricLosses(str(i), "accuracy", cell, 0.9, 0.9) for i, cell in enumerate(losses)]
            judged.append(check_noisy_metrics(samples, GATE))
        return judged

    return simulate


def failed(judged: Judged) -> bool:
    findings, levels = judged
    return any(item.verdict == Verdict.fail for item in [*findings, *levels])


def failed_cell(judged: Judged) -> bool:
    return next(item.verdict for item in judged[0] if item.cell == "0") == Verdict.fail


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_false_alarms_are_rare(simulated: Simulated, seeds: int) -> None:
    assert np.mean([failed(run) for run in simulated(seeds, 500)]) <= 0.02


@pytest.mark.parametrize(("seeds", "power"), [(3, 0.43), (5, 0.82), (10, 0.97)])
def test_a_loss_of_1_5_points_in_a_cell_is_detected(simulated: Simulated, seeds: int, power: float) -> None:
    assert np.mean([failed_cell(run) for run in simulated(seeds, 300, bad=0.015)]) >= power


@pytest.mark.parametrize(("seeds", "power"), [(3, 0.2), (5, 0.8)])
def test_a_loss_of_0_2_points_in_all_cells_is_detected_by_the_mean(
    simulated: Simulated, seeds: int, power: float
) -> None:
    actual = simulated(seeds, 600, everywhere=0.002)
    assert np.mean([levels[0].verdict == Verdict.fail for _, levels in actual]) >= power
    assert np.mean([any(item.verdict == Verdict.fail for item in findings) for findings, _ in actual]) < 0.05


def test_equal_losses_of_all_cells_in_one_seed_are_not_significant() -> None:
    """Three lucky seeds look like 24 cells that all won: the error over seeds, with 2 degrees of freedom, is larger."""
    rng = np.random.default_rng(0)
    alarms = [
        suite_wide_test(list(rng.normal(0, SD, (1, 3)) + rng.normal(0, SD / 10, (CELLS, 3)))).p_worse_than(0) < 0.01  # type: ignore[union-attr]
        for _ in range(1000)
    ]
    assert np.mean(alarms) <= 0.015
    naive = [stats.ttest_1samp(rng.normal(0, SD) + rng.normal(0, SD / 10, CELLS), 0).pvalue < 0.01 for _ in range(300)]
    assert np.mean(naive) > 0.5


def test_the_larger_of_the_errors_over_cells_and_over_seeds_is_used() -> None:
    table = np.array([[0.010, 0.011, 0.012], [0.020, 0.021, 0.022], [0.030, 0.031, 0.032], [0.040, 0.041, 0.042]])
    over_cells = suite_wide_test(list(table))
    assert over_cells is not None
    assert over_cells.dof == 3
    over_seeds = suite_wide_test(list(table - 0.01 * np.arange(4)[:, None] + 0.004))
    assert over_seeds is not None
    assert over_seeds.dof == 2
    expected = stats.ttest_1samp(table.mean(1), 0, alternative="greater").pvalue
    assert over_cells.p_worse_than(0.0) == pytest.approx(expected)


def noisy(rng: np.random.Generator, shape: tuple[int, int], kind: str, loss: float) -> list[Losses]:
    """Losses of cells whose standard deviation is 0.3 points, or varies, or is shared between the cells of a seed."""
    cells, _ = shape
    sd = {
        "equal": np.full(cells, SD),
        "log-normal": SD * np.exp(0.7 * rng.standard_normal(cells)),
        "one 5x noisier": SD * np.where(np.arange(cells) == 0, 5, 1),
        "shared .003 + .001": np.full(cells, 0.001),
        "shared .0015 + .0015": np.full(cells, 0.0015),
    }[kind]
    shared = {"shared .003 + .001": 0.003, "shared .0015 + .0015": 0.0015}.get(kind, 0.0)
    return list(loss + shared * rng.standard_normal((1, shape[1])) + sd[:, None] * rng.standard_normal(shape))


def rates(kind: str, shape: tuple[int, int], loss: float, draws: int = 4000) -> tuple[float, float]:
    """How often a cell fails, and how often all cells together do."""
    rng = np.random.default_rng([*map(ord, kind), *shape])
    cell_fails, all_fail = 0, 0
    for _ in range(draws):
        samples = [
            MetricLosses(str(i), "accuracy", item, 0.9, 0.9) for i, item in enumerate(noisy(rng, shape, kind, loss))
        ]
        findings, levels = check_noisy_metrics(samples, GATE)
        cell_fails += any(finding.verdict == Verdict.fail for finding in findings)
        all_fail += any(level.verdict == Verdict.fail for level in levels)
    return cell_fails / draws, all_fail / draws


SHAPES = [(10, 3), (30, 3), (10, 5)]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["equal", "shared .003 + .001", "shared .0015 + .0015"])
def test_few_unchanged_suites_fail(kind: str, shape: tuple[int, int]) -> None:
    """At most 1.5 %, by 4,000 draws; the binomial standard error at 1 % is 0.16 points. Measured (cells x seeds):

    |                      | 10 x 3 | 30 x 3 | 10 x 5 |
    | equal                | 0.0 %  | 0.2 %  | 0.2 %  |
    | shared .003 + .001   | 0.9 %  | 1.0 %  | 1.1 %  |
    | shared .0015 + .0015 | 0.7 %  | 1.1 %  | 0.8 %  |
    """
    cell_fails, all_fail = rates(kind, shape, 0.0)
    assert max(cell_fails, all_fail) <= 0.015


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["equal", "log-normal", "one 5x noisier"])
def test_a_loss_equal_to_the_margin_rarely_fails(kind: str, shape: tuple[int, int]) -> None:
    """A cell fails in at most 6 %, by 4,000 draws; the binomial standard error at 5 % is 0.34 points. Measured:

    |                | 10 x 3 | 30 x 3 | 10 x 5 |
    | equal          | 3.3 %  | 0.6 %  | 3.6 %  |
    | log-normal     | 5.2 %  | 4.1 %  | 4.7 %  |
    | one 5x noisier | 5.2 %  | 2.5 %  | 4.4 %  |
    """
    assert rates(kind, shape, MARGIN)[0] <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_a_loss_of_two_margins_in_all_cells_is_detected(shape: tuple[int, int]) -> None:
    """In at least 90 %, by 1,000 draws, by a cell; the binomial standard error at 95 % is 0.7 points. Measured:

    | 10 x 3 | 30 x 3 | 10 x 5 |
    | 92 %   | 95 %   | 100 %  |
    """
    assert rates("equal", shape, 2 * MARGIN, 1000)[0] >= 0.9


def test_more_seeds_decide_a_case_that_three_leave_undecided(simulated: Simulated) -> None:
    def share(seeds: int) -> float:
        return float(np.mean([f.verdict == Verdict.passed for findings, _ in simulated(seeds, 50) for f in findings]))

    assert 0.4 < share(3) < share(5) < share(10)
    assert share(10) > 0.95


def test_a_small_estimated_variance_is_increased_and_a_large_one_is_not_changed() -> None:
    """2,000 cells of variance 4: s0^2 is 4, d0 is the most that is allowed, 8."""
    losses = np.random.default_rng(1).normal(0, 2.0, (2000, 3))
    own = losses.var(axis=1, ddof=1)
    estimates = moderated_t(list(losses))
    assert {estimate.dof for estimate in estimates} == {10.0}
    actual = np.array([estimate.error**2 * 3 for estimate in estimates])
    assert actual[own < 3.5] == pytest.approx((2 * own[own < 3.5] + 8 * 4.0) / 10, rel=0.1)
    assert actual[own > 4.5] == pytest.approx(own[own > 4.5])


def test_variances_of_heterogeneous_cells_are_shrunk_little() -> None:
    """Standard deviations from 0.1 to 10: d0 is small, so a cell's freedom is little more than its own 2."""
    rng = np.random.default_rng(3)
    losses = rng.normal(0, 1.0, (40, 3)) * np.geomspace(0.1, 10, 40)[:, None]
    (freedom,) = {estimate.dof for estimate in moderated_t(list(losses))}
    assert 2 < freedom < 4


def test_rounding_errors_of_equal_losses_are_not_treated_as_noise() -> None:
    """Accuracies are n-ths of a test set, so losses are often equal where their floats are not: 17 % false alarms."""
    rng = np.random.default_rng(2)
    alarms = []
    for _ in range(200):
        before, after = np.round(rng.normal(0.9, 0.01, (2, CELLS, 2)) * 360) / 360
        samples = [MetricLosses(str(i), "accuracy", losses, 0.9, 0.9) for i, losses in enumerate(before - after)]
        alarms.append(failed(check_noisy_metrics(samples, GATE)))
    assert np.mean(alarms) <= 0.05
    (estimate, _) = moderated_t([np.array([0.89 - 0.87, 0.91 - 0.89]), np.array([0.01, -0.01])])
    assert estimate.error == pytest.approx(moderated_t([np.array([0.02, 0.02]), np.array([0.01, -0.01])])[0].error)


def test_a_single_cell_has_the_ordinary_t_test() -> None:
    losses = np.array([0.01, 0.02, 0.04])
    (estimate,) = moderated_t([losses])
    expected = stats.ttest_1samp(losses, 0.005, alternative="greater").pvalue
    assert estimate.dof == 2
    assert estimate.p_worse_than(0.005) == pytest.approx(expected)


def test_one_seed_gives_no_estimate_of_the_noise() -> None:
    (estimate,) = moderated_t([np.array([0.02])])
    assert not estimate.has_dof
    assert (estimate.p_worse_than(0.0), estimate.upper) == (1.0, float("inf"))


@pytest.mark.parametrize(("lost", "verdict"), [(0.4, "fail"), (0.053, "inconclusive"), (0.02, "pass"), (-0.4, "pass")])
def test_equal_losses_of_all_seeds_are_reported(lost: float, verdict: str) -> None:
    """As a cost on another machine that grows by the same syncs with each seed: its noise is small, not unknown."""
    (finding,), _ = check_noisy_metrics(
        [MetricLosses("a", "bytes_total", np.full(3, np.log1p(lost)), 1.0, 1.0 + lost)], GATE
    )
    assert finding.verdict == verdict
    low, high = finding.interval or (0.0, 0.0)
    assert low < lost < high


def test_equal_losses_of_all_cells_are_reported_together() -> None:
    samples = [MetricLosses(str(i), "bytes_total", np.full(3, np.log(1.03)), 1.0, 1.03) for i in range(6)]
    findings, (level,) = check_noisy_metrics(samples, GATE)
    assert {item.verdict for item in findings} == {Verdict.passed}
    assert level.verdict == Verdict.fail


def test_a_margin_of_zero_causes_no_division_by_zero() -> None:
    sample = MetricLosses("a", "bytes_total", np.full(3, 0.1), 1.0, 1.1)
    (finding,), _ = check_noisy_metrics([sample], GATE.model_copy(update={"cost_margin": 0.0}))
    assert finding.verdict == Verdict.fail


def test_the_holm_correction_equals_its_definition() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []
