"""Local conditions: their identities, and that a worker outside its ball causes a sync."""

from math import inf

import pytest
import torch

from fdabench.core.row_sums import row_squared_norms
from fdabench.engine.loop import StepEvent
from fdabench.monitors.naive import Naive
from fdabench.strategies.fda import FDA
from fdabench.strategies.presets.gm import GM
from fdabench.strategies.synchronous import Synchronous
from fdabench.triggers.local_condition import LocalCondition
from support.strategies import REGISTRY
from support.toy import STEPS, TrainingRun, train

THETAS = (0.01, 0.03, 0.06, 0.2)


def gm(theta: float, workers: int = 4, every: int = 1) -> TrainingRun:
    return train(GM(LocalCondition(theta, every)), workers=workers)


def test_a_very_small_theta_is_synchronous_and_a_very_large_one_never_synchronizes() -> None:
    never, plain = gm(-inf), train(Synchronous())
    assert torch.equal(never.w_KD, plain.w_KD)
    assert never.syncs == plain.syncs == list(range(1, STEPS + 1))
    assert gm(inf).syncs == []


@pytest.mark.parametrize("theta", THETAS)
def test_the_first_sync_is_no_later_than_that_of_naive_fda(theta: float) -> None:
    """max |u_k|^2 >= mean |u_k|^2; of one worker they are the same."""
    assert gm(theta).syncs[0] <= train(FDA(theta, Naive())).syncs[0]
    assert gm(theta, 1).syncs == train(FDA(theta, Naive()), workers=1).syncs


@pytest.mark.parametrize("theta", THETAS)
def test_the_built_in_trigger_equals_the_example_kamp(theta: float) -> None:
    built_in, example = gm(theta), train(REGISTRY.strategies["kamp"](theta))
    assert torch.equal(built_in.w_KD, example.w_KD)
    assert built_in.entries == example.entries


@pytest.mark.parametrize("every", [1, 3])
def test_a_sync_happens_exactly_when_a_checked_worker_is_outside_its_ball(every: int) -> None:
    theta, visited = 0.03, []

    def see(moment: StepEvent) -> None:
        farthest = float(row_squared_norms(moment.context.w_KD - moment.round.anchor_D).max())
        visited.append((farthest > theta and moment.step % every == 0, moment.outcome.synced))

    train(GM(LocalCondition(theta, every)), on_step=see)
    assert {outside == synced for outside, synced in visited} == {True}
    assert len(set(visited)) == 2


def test_each_worker_sends_one_number_at_each_check() -> None:
    states = [(entry.count, entry.elements) for entry in gm(inf, every=4).entries if entry.kind == "state"]
    assert states == [(STEPS // 4, 1)]
