"""Identities of the strategies of `examples/`."""

from math import inf

import pytest
import torch

from fdabench.core.row_sums import row_squared_norms
from fdabench.engine.loop import StepEvent
from fdabench.monitors.naive import Naive
from fdabench.strategies.fda import FDA
from fdabench.strategies.synchronous import Synchronous
from support.strategies import REGISTRY
from support.toy import STEPS, TrainingRun, train

THETAS = (0.01, 0.03, 0.06, 0.2)


def kamp(theta: float, workers: int = 4) -> TrainingRun:
    return train(REGISTRY.strategies["kamp"](theta), workers=workers)


def test_a_very_small_threshold_is_synchronous_and_a_very_large_one_never_synchronizes() -> None:
    never, plain = kamp(-inf), train(Synchronous())
    assert torch.equal(never.w_KD, plain.w_KD)
    assert never.syncs == plain.syncs == list(range(1, STEPS + 1))
    assert kamp(inf).syncs == []


@pytest.mark.parametrize("theta", THETAS)
def test_one_worker_with_a_large_drift_signals_no_later_than_the_mean_of_all(theta: float) -> None:
    """max |u_k|^2 >= mean |u_k|^2; of one worker they are the same."""
    assert kamp(theta).syncs[0] <= train(FDA(theta, Naive())).syncs[0]
    assert kamp(theta, 1).syncs == train(FDA(theta, Naive()), workers=1).syncs


@pytest.mark.parametrize("theta", THETAS)
def test_while_no_worker_signals_every_worker_is_within_its_ball(theta: float) -> None:
    visited = []

    def see(moment: StepEvent) -> None:
        farthest = float(row_squared_norms(moment.context.w_KD - moment.round.anchor_D).max())
        visited.append((farthest > theta, moment.outcome.synced))

    train(REGISTRY.strategies["kamp"](theta), on_step=see)
    assert {outside == synced for outside, synced in visited} == {True}
    assert len(set(visited)) == 2
