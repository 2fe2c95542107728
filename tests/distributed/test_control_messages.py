"""Rank 0 tells the other ranks whether to stop or save, in few messages, as each takes the latency of the links."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.distributed as dist

from fdabench.distributed.process_group import TorchProcessGroup
from fdabench.experiment.checkpoint.state import BroadcastStepControl, StepControl
from support.launch import launch

BROADCASTS = {0: 1, 1: 1, 246: 1, 247: 2, 10_000: 2}
"""The collectives that a string of each length takes: 248 bytes fit into the first, and JSON adds quotation marks."""


def broadcast_strings() -> dict[int, int]:
    """Broadcast a string of each length. Returns the broadcasts that each length took in this rank."""
    calls, broadcast = [], dist.broadcast

    def counted(tensor: torch.Tensor, src: int) -> None:
        calls.append(tensor)
        broadcast(tensor, src)

    dist.broadcast = counted  # type: ignore[assignment]
    group, counts = TorchProcessGroup(dist.get_rank(), 2), {}
    for text in ("x" * length for length in BROADCASTS):
        calls.clear()
        assert group.broadcast(lambda sent=text: sent if group.rank == 0 else "of another rank") == text  # type: ignore[misc]
        counts[len(text)] = len(calls)
    return counts


def test_a_short_message_takes_one_broadcast_and_a_long_one_two() -> None:
    assert launch(broadcast_strings, 2) == [BROADCASTS] * 2


class SlowGroup(NamedTuple):
    """A process group on a clock of its own: each broadcast takes `broadcast_s`."""

    clock: list[float]
    broadcast_s: float

    def broadcast(self, make: Callable[[], object]) -> object:
        value = make()
        self.clock[0] += self.broadcast_s
        return value


@pytest.mark.parametrize(
    ("broadcast_s", "step_s", "interval_s"),
    [(0.001, 0.01, 0.25), (0.2, 0.01, 2.0), (0.2, 0.5, 2.0), (3.0, 0.01, 5.0), (0.001, 1.0, 1.0)],
)
def test_slow_broadcasts_take_a_tenth_of_the_time(
    monkeypatch: pytest.MonkeyPatch, broadcast_s: float, step_s: float, interval_s: float
) -> None:
    """There are at most five seconds between two broadcasts, as they decide when a run stops, and at least one step."""
    clock, decided_at = [0.0], [0.0]
    monkeypatch.setattr("fdabench.experiment.checkpoint.state.monotonic", lambda: clock[0])

    def never() -> bool:
        decided_at.append(clock[0])
        return False

    control = BroadcastStepControl(StepControl(never, lambda: False), SlowGroup(clock, broadcast_s))  # type: ignore[arg-type]
    while len(decided_at) < 30:
        assert not control.should_stop()
        assert not control.should_checkpoint()
        clock[0] += step_s
    # the first intervals double, because the time of a step is not known yet
    between = np.diff(decided_at)[20:] - broadcast_s
    assert between.max() <= interval_s + 1e-6
    assert between.min() >= interval_s - step_s - 1e-6
