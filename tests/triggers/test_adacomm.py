"""AdaComm in Paddle's form: the periods for given losses, and the messages."""

from math import inf, nan

import pytest
import torch

from fdabench.core.channel import Channel
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.strategy import PlannedRun
from fdabench.strategies.presets.adacomm import AdaCommStrategy
from fdabench.triggers.adacomm import AdaComm
from support.toy import STEPS, WORKERS, equal_shares, step_context, train


def periods(trigger: AdaComm, first_loss: float, losses: list[float], lrs: list[float] | None = None) -> list[int]:
    """The steps of the rounds after the first one, where each sync sees the next of the losses and learning rates."""
    channel, w_KD = Channel(InProcessCollective(equal_shares(WORKERS)), Ledger()), torch.zeros(WORKERS, 1)
    strategy = AdaCommStrategy(trigger)
    r = strategy.init(w_KD[0])
    actual: list[int] = []
    t, loss, lr = 0, first_loss, 0.1
    while len(actual) < len(losses):
        ends = t + 1 == r.trigger[0]
        if t > 0:
            loss = losses[len(actual)] if ends else nan  # losses between syncs are not read
            lr = lrs[len(actual)] if lrs and ends else lr
        # the workers' losses differ; their mean is what counts
        loss_K = loss * torch.linspace(0.5, 1.5, WORKERS)
        context = step_context(t, w_KD)._replace(
            loss_K=loss_K, lr_at=lambda step, now=t, lr=lr: lr if step == now else 0.1
        )
        outcome = strategy.step(context, r, channel)
        assert outcome.synced == ends
        r, t = outcome.round, t + 1
        if outcome.synced:
            actual.append(r.trigger[0] - t)
    return actual


def test_the_periods_for_given_losses() -> None:
    losses = [1.5, 1.5, 0.9, 0.6, 0.55, 0.2]
    assert periods(AdaComm(first=16), 2.3, losses) == [4, 4, 3, 3, 2, 2]


def test_a_falling_learning_rate_lengthens_the_rounds() -> None:
    """sqrt(16 * 4) = 8, and sqrt(16 * 100) = 40 is cut."""
    assert periods(AdaComm(first=16), 2.0, [2.0, 2.0, 2.0], [0.1, 0.025, 0.001]) == [4, 8, 16]


@pytest.mark.parametrize(("loss", "period"), [(inf, 9), (nan, 9), (0.0, 1)])
def test_a_loss_of_nan_gives_the_longest_round(loss: float, period: int) -> None:
    assert periods(AdaComm(first=3, most=9), 1.0, [loss]) == [period]


def test_a_learning_rate_of_0_gives_the_longest_round() -> None:
    assert periods(AdaComm(first=3, most=9), 1.0, [1.0], [0.0]) == [9]


def test_an_optimizer_without_a_learning_rate_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"adacomm needs the learning rate, and this local optimizer has no field `lr`"
    ):
        periods(AdaComm(first=3), 1.0, [1.0], [nan])


@pytest.mark.parametrize(("first", "alone"), [(1, 0), (4, 1)])
def test_a_loss_is_sent_at_step_1_and_at_each_sync(first: int, alone: int) -> None:
    ran = train(AdaCommStrategy(AdaComm(first)))
    states = [entry for entry in ran.entries if entry.kind == "state"]
    assert sum(entry.count for entry in states) == alone + len(ran.syncs)
    assert {entry.payload_bytes for entry in states} == {4}
    traffic = AdaComm(first).forecast_traffic(PlannedRun(STEPS, 1, lambda t: 0.2))
    assert (traffic.num_states, traffic.states_per_sync) == (alone, 1)
    assert traffic.min_syncs <= len(ran.syncs) <= traffic.max_syncs


def test_a_first_round_longer_than_the_run_has_no_sync() -> None:
    assert AdaComm(first=31).forecast_traffic(PlannedRun(30, 1, lambda t: 0.2))[:2] == (0, 0)
    assert train(AdaCommStrategy(AdaComm(first=31))).syncs == []
