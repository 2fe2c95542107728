"""The gate's own error rates, by simulation, and what its arithmetic must give."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from fdabench.gate.noisy import judge
from fdabench.gate.samples import Sample
from fdabench.gate.stats import everywhere, holm, moderated
from fdabench.gate.verdict import Finding, Level, Verdict

CELLS, SD, MARGIN = 24, 0.003, 0.005
GATE = {"accuracy_margin": MARGIN, "cost_margin": 0.05, "one_seed_margins": 10.0}
Judged = tuple[list[Finding], list[Level]]
Simulated = Callable[..., list[Judged]]


@pytest.fixture
def simulated() -> Simulated:
    """Many runs of a suite of 24 cells, each before and after with noise of its own; what the gate says of each."""

    def simulate(seeds: int, repeats: int, bad: float = 0.0, everywhere: float = 0.0) -> list[Judged]:
        rng = np.random.default_rng([seeds, repeats])
        judged = []
        for _ in range(repeats):
            before, after = rng.normal(0.9, SD, (2, CELLS, seeds))
            losses = before - after + everywhere
            losses[0] += bad
            samples = [Sample(str(i), "accuracy", cell, 0.9, 0.9) for i, cell in enumerate(losses)]
            judged.append(judge(samples, GATE))
        return judged

    return simulate


def failed(judged: Judged) -> bool:
    findings, levels = judged
    return any(each.verdict == Verdict.fail for each in [*findings, *levels])


def failed_cell(judged: Judged) -> bool:
    return next(each.verdict for each in judged[0] if each.cell == "0") == Verdict.fail


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_false_alarms_are_rare(simulated: Simulated, seeds: int) -> None:
    assert np.mean([failed(run) for run in simulated(seeds, 500)]) <= 0.02


@pytest.mark.parametrize(("seeds", "power"), [(3, 0.55), (5, 0.85), (10, 0.97)])
def test_a_cell_that_lost_1_5_points_is_found(simulated: Simulated, seeds: int, power: float) -> None:
    assert np.mean([failed_cell(run) for run in simulated(seeds, 300, bad=0.015)]) >= power


def test_a_loss_of_0_2_points_everywhere_is_found_by_all_cells_together(simulated: Simulated) -> None:
    found = simulated(3, 600, everywhere=0.002)
    assert np.mean([levels[0].verdict == Verdict.fail for _, levels in found]) >= 0.8
    assert np.mean([any(each.verdict == Verdict.fail for each in findings) for findings, _ in found]) < 0.05


def test_cells_that_lose_alike_in_a_seed_are_no_proof() -> None:
    """Three lucky seeds look like 24 cells that all won: the error over seeds knows better."""
    rng = np.random.default_rng(0)
    alarms = [
        everywhere(list(rng.normal(0, SD, (1, 3)) + rng.normal(0, SD / 10, (CELLS, 3)))).p_worse_than(0) < 0.01  # type: ignore[union-attr]
        for _ in range(300)
    ]
    assert np.mean(alarms) < 0.15
    naive = [stats.ttest_1samp(rng.normal(0, SD) + rng.normal(0, SD / 10, CELLS), 0).pvalue < 0.01 for _ in range(300)]
    assert np.mean(naive) > 0.5


def test_more_seeds_pass_what_three_cannot_tell(simulated: Simulated) -> None:
    def share(seeds: int) -> float:
        return float(np.mean([f.verdict == Verdict.passed for findings, _ in simulated(seeds, 50) for f in findings]))

    assert 0.4 < share(3) < share(5) < share(10)
    assert share(10) > 0.95


def test_the_prior_variance_is_that_of_the_cells() -> None:
    rng = np.random.default_rng(1)
    estimates = moderated(list(rng.normal(0, 2.0, (2000, 3))))
    assert {estimate.freedom for estimate in estimates} == {10.0}
    variances = [estimate.error**2 * 3 for estimate in estimates]
    # exp(E log) of equal variances: the moderated ones lie around the true one, far closer than the raw ones
    assert np.mean(variances) == pytest.approx(4.0, rel=0.25)
    assert np.std(variances) < 0.5 * np.std(rng.normal(0, 2.0, (2000, 3)).var(axis=1, ddof=1))


def test_what_floats_leave_of_equal_losses_is_no_noise() -> None:
    """Accuracies are n-ths of a test set, so losses are often equal where their floats are not: 17 % false alarms."""
    rng = np.random.default_rng(2)
    alarms = []
    for _ in range(200):
        before, after = np.round(rng.normal(0.9, 0.01, (2, CELLS, 2)) * 360) / 360
        samples = [Sample(str(i), "accuracy", losses, 0.9, 0.9) for i, losses in enumerate(before - after)]
        alarms.append(failed(judge(samples, GATE)))
    assert np.mean(alarms) <= 0.05
    (estimate, _) = moderated([np.array([0.89 - 0.87, 0.91 - 0.89]), np.array([0.01, -0.01])])
    assert estimate.error == pytest.approx(moderated([np.array([0.02, 0.02]), np.array([0.01, -0.01])])[0].error)


def test_alone_a_cell_has_the_ordinary_t_test() -> None:
    losses = np.array([0.01, 0.02, 0.04])
    (estimate,) = moderated([losses])
    expected = stats.ttest_1samp(losses, 0.005, alternative="greater").pvalue
    assert estimate.freedom == 2
    assert estimate.p_worse_than(0.005) == pytest.approx(expected)


def test_one_seed_says_nothing_of_the_noise() -> None:
    (estimate,) = moderated([np.array([0.02])])
    assert not estimate.known
    assert (estimate.p_worse_than(0.0), estimate.upper) == (1.0, float("inf"))


@pytest.mark.parametrize(("lost", "verdict"), [(0.4, "fail"), (0.053, "inconclusive"), (0.02, "pass"), (-0.4, "pass")])
def test_seeds_that_lost_exactly_the_same_are_told(lost: float, verdict: str) -> None:
    """As a cost on another machine that grows by the same syncs with each seed: its noise is small, not unknown."""
    (finding,), _ = judge([Sample("a", "bytes_total", np.full(3, np.log1p(lost)), 1.0, 1.0 + lost)], GATE)
    assert finding.verdict == verdict
    low, high = finding.interval or (0.0, 0.0)
    assert low < lost < high


def test_cells_that_lost_exactly_the_same_are_told_together() -> None:
    samples = [Sample(str(i), "bytes_total", np.full(3, np.log(1.03)), 1.0, 1.03) for i in range(6)]
    findings, (level,) = judge(samples, GATE)
    assert {each.verdict for each in findings} == {Verdict.passed}
    assert level.verdict == Verdict.fail


def test_a_margin_of_nothing_divides_by_nothing() -> None:
    sample = Sample("a", "bytes_total", np.full(3, 0.1), 1.0, 1.1)
    (finding,), _ = judge([sample], {**GATE, "cost_margin": 0.0})
    assert finding.verdict == Verdict.fail


def test_holm_against_its_definition() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []
