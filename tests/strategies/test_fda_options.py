"""FDA's cap, lag and last sync, and FDA-Opt."""

from itertools import pairwise
from math import inf

import pytest
import torch

from fdabench.codecs import CODECS
from fdabench.engine.loop import StepEvent
from fdabench.monitors.exact import Exact
from fdabench.monitors.linear import Linear
from fdabench.monitors.naive import Naive
from fdabench.servers.average import Average
from fdabench.strategies.fda import FDA
from fdabench.strategies.fdaopt import FDAOpt
from fdabench.strategies.fedavg import FedAvg
from support.strategies import component
from support.toy import STEPS, train


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("most", [1, 3, 4])
def test_a_cap_with_an_infinite_theta_is_fedavg_plus_the_states(every: int, most: int) -> None:
    """With an infinite threshold only the cap ends a round, after `most` checks."""
    capped = train(FDA(inf, Naive(), every, most=most))
    periodic = train(FedAvg(every * most))  # type: ignore[arg-type]
    assert torch.equal(capped.w_KD, periodic.w_KD)
    assert capped.syncs == periodic.syncs
    assert [entry for entry in capped.entries if entry.kind != "state"] == periodic.entries


def test_a_cap_that_is_never_reached_changes_nothing() -> None:
    plain, capped = (train(FDA(0.03, Linear(), most=most)) for most in (None, STEPS + 1))
    assert torch.equal(plain.w_KD, capped.w_KD)
    assert plain[1:] == capped[1:]


@pytest.mark.parametrize(("every", "steps"), [(1, STEPS), (7, STEPS), (4, 13)])
def test_the_last_step_synchronizes_on_request(every: int, steps: int) -> None:
    ran = train(FDA(inf, Naive(), every, last=True), steps=steps)
    assert ran.syncs == [steps]
    assert torch.equal(ran.w_KD[0], ran.w_KD[1])


@pytest.mark.parametrize("lag", [1, 2, 5])
@pytest.mark.parametrize("every", [1, 3])
def test_with_a_lag_the_decision_uses_the_models_of_that_many_steps_before(lag: int, every: int) -> None:
    """The estimate of step t is the variance of step t - lag, and only of checks within the same round."""
    variances: dict[int, float] = {}
    decided: dict[int, tuple[int, bool, float]] = {}

    def see(moment: StepEvent) -> None:
        u_KD = moment.context.w_KD - moment.round.anchor_D
        variances[moment.step] = float(u_KD.square().sum(1).mean() - u_KD.mean(0).square().sum())
        decided[moment.step] = (moment.round.start, moment.outcome.synced, moment.outcome.estimate)

    theta = 0.02
    train(FDA(theta, Exact(), every, lag=lag), on_step=see)
    assert any(synced for _, synced, _ in decided.values())
    for step, (start, synced, estimate) in decided.items():
        checked = step - lag
        if checked > start and checked % every == 0:
            assert estimate == pytest.approx(variances[checked], rel=1e-3, abs=1e-6)
            assert synced == (estimate > theta)
        else:
            assert estimate != estimate
            assert not synced


def test_a_lagged_state_has_its_slack_in_the_ledger() -> None:
    entries = train(FDA(0.03, Linear(), lag=3)).entries
    assert {(entry.kind, entry.slack) for entry in entries} == {("initial", 0), ("state", 3), ("model", 0)}


def test_fda_opt_with_one_check_a_round_is_fedavg_plus_the_states() -> None:
    adaptive, periodic = train(FDAOpt(Naive(), 4, 1)), train(FedAvg(4))  # type: ignore[arg-type]
    assert torch.equal(adaptive.w_KD, periodic.w_KD)
    assert adaptive.syncs == periodic.syncs


def test_the_threshold_of_fda_opt_follows_the_variance_of_the_round() -> None:
    """theta <- most / 2 * Var / checks; of the last check's exact variance, the estimate of the exact monitor."""
    visited: list[StepEvent] = []
    train(FDAOpt(Exact(), 2, 5), on_step=visited.append)
    syncs = [moment for moment in visited if moment.outcome.synced]
    assert [moment.outcome.theta for moment in syncs[:1]] == [0.0]
    assert len(syncs) > 2
    for before, after in pairwise(syncs):
        checks = (before.step - before.round.start) // 2
        assert after.outcome.theta == pytest.approx(5 / 2 * before.outcome.estimate / checks, rel=1e-3)
        assert after.outcome.estimate > after.outcome.theta or after.step - after.round.start == 10


@pytest.mark.parametrize("kind", CODECS)
def test_with_a_lossy_codec_the_estimate_still_bounds_the_variance(kind: str) -> None:
    """Drifts are measured against a global model that all workers share; residuals are outside of the models."""

    def bounded(moment: StepEvent) -> None:
        u_KD = moment.context.w_KD - moment.round.anchor_D
        variance = float(u_KD.square().sum(1).mean() - u_KD.mean(0).square().sum())
        assert moment.outcome.estimate >= variance - 1e-6
        if moment.outcome.synced:
            assert torch.equal(moment.outcome.w_KD, moment.outcome.round.anchor_D.expand_as(u_KD))

    assert len(train(FDA(0.03, Linear(), codec=component(CODECS[kind]), feedback=0.9), on_step=bounded).syncs) > 1


@pytest.mark.parametrize(
    ("checks", "variance", "theta"), [(1, 0.02, 0.1), (3, 0.05, 0.08333333), (10, 0.2, 0.1), (5, 0.1, 0.1)]
)
def test_the_rule_of_fda_opt_by_hand(checks: int, variance: float, theta: float) -> None:
    assert 10 / 2 * variance / checks == pytest.approx(theta, abs=1e-8)


def test_fda_opt_refuses_a_monitor_whose_states_contain_no_norm() -> None:
    class Blind(Naive):
        starts_with_squared_norm = False

    with pytest.raises(ValueError, match=r"the states of Blind do not begin with \|u_k\|\^2"):
        FDAOpt(Blind())


def test_feedback_without_a_codec_is_refused() -> None:
    for make in (lambda: FDA(0.1, Naive(), feedback=1.0), lambda: FedAvg(4, Average(), feedback=0.9)):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="feedback: there is no codec whose losses it could make up for"):
            make()
