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

CONTROL_INTERVAL_S = 0.25
"""Seconds between two broadcasts of whether to stop or save."""


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


def gather_state(state: TrainingState, team: ProcessGroup) -> TrainingState | None:
    """Gather the workers of all processes. Returns the whole state in rank 0, and None in other ranks."""
    parts = team.gather(state.workers)
    return state._replace(workers=WorkerGroupState.concat(parts)) if parts else None


def shard_state(snapshot: CheckpointState, team: ProcessGroup) -> CheckpointState:
    """Return the part of a state that this process resumes from."""
    workers = snapshot.training.workers
    return snapshot._replace(
        training=snapshot.training._replace(workers=workers.shard(team.local_workers(len(workers.sampler_states))))
    )


class StepControl:
    """Decides whether to stop and whether to save a checkpoint, in a single process."""

    def __init__(self, stop_asked: Callable[[], bool], due: Callable[[], bool]) -> None:
        self.should_stop, self.should_checkpoint = stop_asked, due


class BroadcastStepControl:
    """Decides whether to stop and whether to save a checkpoint: rank 0 decides, and all ranks act at the same step.

    In each step `should_stop` must be called once, then `should_checkpoint`. The ranks communicate every
    `CONTROL_INTERVAL_S` seconds and not in every step, because a step may be short.
    """

    def __init__(self, wishes: StepControl, team: ProcessGroup) -> None:
        self._wishes, self._team = wishes, team
        self._left, self._apart, self._spoken, self._keep = 1, 1, monotonic(), False

    def should_stop(self) -> bool:
        self._left -= 1
        if self._left:
            return False
        stop, self._keep, self._left = self._team.broadcast(self._broadcast_wish)
        return stop

    def should_checkpoint(self) -> bool:
        keep, self._keep = self._keep, False
        return keep

    def _broadcast_wish(self) -> tuple[bool, bool, int]:
        a_step, self._spoken = (monotonic() - self._spoken) / self._apart, monotonic()
        self._apart = min(max(int(CONTROL_INTERVAL_S / max(a_step, 1e-6)), 1), 2 * self._apart)
        return self._wishes.should_stop(), self._wishes.should_checkpoint(), self._apart
