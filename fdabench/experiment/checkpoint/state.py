"""Defines the state of a cell between two local steps, and decides when it is saved.

With several processes, the state is gathered in rank 0 before it is saved, and each process resumes from its part.
"""

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple, Protocol

from fdabench.core.ledger import LedgerEntry
from fdabench.distributed.process_group import ProcessGroup
from fdabench.engine.loop import TrainingState
from fdabench.engine.workers import WorkerGroupState

CONTROL_INTERVAL_S = (0.25, 5.0)
"""The least and the most seconds between two broadcasts of whether to stop or save."""
CONTROL_SHARE = 0.1
"""The part of the time that these broadcasts may take; on links of a long latency the interval grows for it."""


class CheckpointState(NamedTuple):
    """Everything that is needed to resume a cell."""

    training: TrainingState
    ledger: list[LedgerEntry]
    """The entries of the ledger."""
    recorder: dict[str, object]
    """The state of the recorder."""


class Checkpointer(Protocol):
    """Saves states of a running cell."""

    def is_due(self) -> bool:
        """Whether a state should be saved now."""
        ...

    def save(self, snapshot: CheckpointState) -> None:
        """Save a state."""
        ...

    def give_up(self, error: Exception) -> None:
        """Called with the reason if the state cannot be saved at all."""
        ...


class NullCheckpointer:
    """Saves no checkpoints."""

    def is_due(self) -> bool:
        return False

    def save(self, snapshot: CheckpointState) -> None:
        pass

    def give_up(self, error: Exception) -> None:
        pass


NO_CHECKPOINTS = NullCheckpointer()


def gather_state(state: TrainingState, process_group: ProcessGroup) -> TrainingState | None:
    """Gather the workers of all processes. Returns the whole state in rank 0, and None in other ranks."""
    parts = process_group.gather(state.workers)
    return state._replace(workers=WorkerGroupState.concat(parts)) if parts else None


def shard_state(snapshot: CheckpointState, process_group: ProcessGroup) -> CheckpointState:
    """Return the part of a state that this process resumes from."""
    workers = snapshot.training.workers
    return snapshot._replace(
        training=snapshot.training._replace(
            workers=workers.shard(process_group.local_workers(len(workers.sampler_states)))
        )
    )


class StepControl:
    """Decides whether to stop and whether to save a checkpoint, in a single process."""

    def __init__(self, should_stop: Callable[[], bool], should_checkpoint: Callable[[], bool]) -> None:
        self.should_stop, self.should_checkpoint = should_stop, should_checkpoint


class BroadcastStepControl:
    """Decides whether to stop and whether to save a checkpoint: rank 0 decides, and all ranks act at the same step.

    In each step `should_stop` must be called once, then `should_checkpoint`. The ranks do not communicate in every
    step, because a step may be short. The interval is `CONTROL_INTERVAL_S[0]`, or longer if a broadcast takes more than
    `CONTROL_SHARE` of it. `CONTROL_INTERVAL_S[1]` limits it, because a broadcast also waits for a slow rank.
    """

    def __init__(self, control: StepControl, process_group: ProcessGroup) -> None:
        self._control, self._process_group = control, process_group
        self._steps_left, self._interval_steps, self._checkpoint_due = 1, 1, False
        self._steps_began_at, self._broadcast_s = monotonic(), 0.0

    def should_stop(self) -> bool:
        self._steps_left -= 1
        if self._steps_left:
            return False
        began_at = monotonic()
        stop, self._checkpoint_due, self._steps_left = self._process_group.broadcast(self._decide)
        self._steps_began_at = monotonic()
        self._broadcast_s = self._steps_began_at - began_at
        return stop

    def should_checkpoint(self) -> bool:
        is_due, self._checkpoint_due = self._checkpoint_due, False
        return is_due

    def _decide(self) -> tuple[bool, bool, int]:
        step_s = (monotonic() - self._steps_began_at) / self._interval_steps
        self._interval_steps = next_interval(self._interval_steps, step_s, self._broadcast_s)
        return self._control.should_stop(), self._control.should_checkpoint(), self._interval_steps


def next_interval(steps: int, step_s: float, broadcast_s: float) -> int:
    """Return the number of local steps until the next broadcast of `BroadcastStepControl`, at most twice the last one.

    Args:
        steps: the number of local steps since the last broadcast.
        step_s: the mean seconds of these steps.
        broadcast_s: the seconds that the last broadcast took.
    """
    shortest_s, longest_s = CONTROL_INTERVAL_S
    interval_s = min(max(shortest_s, broadcast_s / CONTROL_SHARE), longest_s)
    return min(max(int(interval_s / max(step_s, 1e-6)), 1), 2 * steps)
