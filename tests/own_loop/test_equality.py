"""A user's loop with `fdabench.sync` has the weights and the ledger of the engine, to the last bit."""

import pytest
import torch

from support.launch import launch
from support.own_loop.loop_tasks import STRATEGIES, LoopEnd, simulate_and_loop, two_groups


def assert_equal(pairs: dict[str, tuple[LoopEnd, LoopEnd]]) -> None:
    for name, (engine, loop) in pairs.items():
        assert torch.equal(loop.w_D, engine.w_D), name
        assert loop.ledger == engine.ledger, name
        assert loop[2:] == engine[2:], name
    # the thresholds are such that the monitors decide: neither at every step nor never
    for name in ("fda-exact", "fda-linear", "fda-sketch"):
        assert 0 < pairs[name][0].syncs < pairs[name][0].steps


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_loop_of_one_process_equals_the_engine(name: str) -> None:
    (engine, loop) = simulate_and_loop([name])[name]
    assert torch.equal(loop.w_D, engine.w_D)
    assert loop.ledger == engine.ledger
    assert loop[2:] == engine[2:]


@pytest.mark.slow
def test_a_loop_of_two_processes_equals_the_engine() -> None:
    for pairs in launch(simulate_and_loop, 2, list(STRATEGIES)):
        assert_equal(pairs)


@pytest.mark.slow
def test_a_loop_of_four_processes_equals_the_engine() -> None:
    for pairs in launch(simulate_and_loop, 4, list(STRATEGIES)):
        assert_equal(pairs)


@pytest.mark.slow
def test_process_groups_of_the_user_have_separate_strategies() -> None:
    ends = launch(two_groups, 4)
    assert [item.syncs for item in ends] == [4, 2, 4, 2]
    for first, second in ((0, 2), (1, 3)):
        assert torch.equal(ends[first].w_D, ends[second].w_D)
        assert ends[first].ledger == ends[second].ledger
    assert not torch.equal(ends[0].w_D, ends[1].w_D)
