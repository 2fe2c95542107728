"""The training loop: local steps of all workers, alternating with `Strategy.step`. It depends on no one strategy.

Several cells may share one matrix of workers. Each has its own group of rows, strategy, ledger and last step, and none
can read the rows of another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fdabench.core.channel import Channel
from fdabench.core.strategy import CorrectsGradients, Round, StepResult, Strategy
from fdabench.engine.arrays import BatchMetrics
from fdabench.engine.workers import WorkerGroupState, Workers


class StepEvent(NamedTuple):
    """The end of a local step, before the result of a sync is loaded into the workers. The paper evaluates then."""

    step: int
    """The number of local steps so far, at least 1."""
    losses: BatchMetrics
    outcome: StepResult
    round: Round
    """The round that this step belongs to."""
    w_KD: Tensor
    """The models of the workers before the sync."""
    b_KB: Tensor
    """Their running statistics."""


class TrainingState(NamedTuple):
    """The complete state of a cell between two local steps, apart from its ledger."""

    step: int
    """The number of local steps so far."""
    round: Round
    crew: WorkerGroupState


def _raise(error: Exception) -> None:
    raise error


def _pass(state: Callable[[], TrainingState]) -> None:
    pass


@dataclass(frozen=True)
class CellLoop:
    """The training of one cell: `steps` local steps, or fewer if `on_step` returns False."""

    strategy: Strategy
    channel: Channel
    steps: int
    on_step: Callable[[StepEvent], bool]
    on_error: Callable[[Exception], None] = _raise
    """Called with what the strategy or `on_step` raised. This cell ends; the others continue."""
    on_step_end: Callable[[Callable[[], TrainingState]], None] = _pass
    """Called after each local step and its sync, with a function that returns the state of the cell."""
    initial_state: TrainingState | None = None
    """The state of a checkpoint to resume from; the ledger of `channel` must be restored to the same step."""

    @property
    def start_step(self) -> int:
        """The number of local steps before this loop: 0 unless the cell is resumed."""
        return self.initial_state.step if self.initial_state else 0


class _ActiveCell(NamedTuple):
    cell: CellLoop
    round: Round
    corrects: CorrectsGradients | None
    """The strategy if it changes gradients; determined once, because an isinstance check of a protocol is slow."""


def train_loop(workers: Workers, cells: Sequence[CellLoop]) -> None:
    """Train several cells step by step in one matrix of workers.

    Args:
        workers: all workers of this process; group n belongs to cell n.
        cells: the cells. All must have the same `start_step`.
    """
    active: list[_ActiveCell | None] = [_start_cell(cell, workers, group) for group, cell in enumerate(cells)]
    (t,) = {cell.start_step for cell in cells}
    while any(active):
        left = [group for group, each in enumerate(active) if each is not None]
        if len(left) < len(active):
            workers.retain_groups(left)
        losses = workers.backward()
        active = [_correct_gradients(workers, group, each, t) for group, each in enumerate(filter(None, active))]
        workers.update()
        active = [each and _advance(workers, group, each, t, losses) for group, each in enumerate(active)]
        t += 1


def _start_cell(cell: CellLoop, workers: Workers, group: int) -> _ActiveCell | None:
    try:
        if cell.start_step >= cell.steps:
            return None
        strategy = cell.strategy
        corrects = strategy if isinstance(strategy, CorrectsGradients) else None
        return _ActiveCell(cell, _initial_round(cell, workers, group), corrects)
    except Exception as error:
        cell.on_error(error)
        return None


def _initial_round(cell: CellLoop, workers: Workers, group: int) -> Round:
    if cell.initial_state is None:
        return cell.strategy.init(cell.channel.broadcast_initial(workers.weights(group)[0].clone()))
    workers.load_state_dict(group, cell.initial_state.crew, cell.initial_state.step)
    return cell.initial_state.round


def _correct_gradients(workers: Workers, group: int, active: _ActiveCell, t: int) -> _ActiveCell | None:
    """Let the strategy of a cell replace the gradients of local step t. Returns None if the strategy raised."""
    if active.corrects is None:
        return active
    channel, g_KD = active.cell.channel, workers.gradients(group)
    channel.ledger.step = t + 1
    try:
        with torch.no_grad():
            g_KD.copy_(active.corrects.correct(t, g_KD, active.round, channel))
    except Exception as error:
        active.cell.on_error(error)
        return None
    return active


def _advance(workers: Workers, group: int, active: _ActiveCell, t: int, losses: BatchMetrics) -> _ActiveCell | None:
    """The cell after local step t; None if that was its last step or an error ended it."""
    try:
        r, more = _step(workers, group, active, t, workers.metrics_of(group, losses))
    except Exception as error:
        # an exception of a strategy fails its own cell only
        active.cell.on_error(error)
        return None
    return active._replace(round=r) if more and t + 1 < active.cell.steps else None


def _step(workers: Workers, group: int, active: _ActiveCell, t: int, losses: BatchMetrics) -> tuple[Round, bool]:
    cell, w_KD = active.cell, workers.weights(group)
    cell.channel.ledger.step = t + 1
    with torch.no_grad():
        outcome = cell.strategy.step(t, w_KD, active.round, cell.channel)
    more = cell.on_step(StepEvent(t + 1, losses, outcome, active.round, w_KD, workers.statistics(group)))
    if outcome.synced:
        workers.load_synced_models(group, outcome.w_KD, cell.channel)
    cell.on_step_end(lambda: TrainingState(t + 1, outcome.round, workers.state_dict(group)))
    return outcome.round, more
