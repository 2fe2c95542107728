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


def _pass(stand: Callable[[], TrainingState]) -> None:
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
    course: CellLoop
    round: Round
    corrects: CorrectsGradients | None
    """The strategy if it changes gradients; determined once, because an isinstance check of a protocol is slow."""


def train_loop(workers: Workers, courses: Sequence[CellLoop]) -> None:
    """Train several cells step by step in one matrix of workers.

    Args:
        workers: all workers of this process; group n belongs to cell n.
        courses: the cells. All must have the same `start_step`.
    """
    going: list[_ActiveCell | None] = [_start_cell(course, workers, crew) for crew, course in enumerate(courses)]
    (t,) = {course.start_step for course in courses}
    while any(going):
        left = [crew for crew, each in enumerate(going) if each is not None]
        if len(left) < len(going):
            workers.retain_groups(left)
        losses = workers.backward()
        going = [_correct_gradients(workers, crew, each, t) for crew, each in enumerate(filter(None, going))]
        workers.update()
        going = [each and _advance(workers, crew, each, t, losses) for crew, each in enumerate(going)]
        t += 1


def _start_cell(course: CellLoop, workers: Workers, crew: int) -> _ActiveCell | None:
    try:
        if course.start_step >= course.steps:
            return None
        strategy = course.strategy
        corrects = strategy if isinstance(strategy, CorrectsGradients) else None
        return _ActiveCell(course, _initial_round(course, workers, crew), corrects)
    except Exception as error:
        course.on_error(error)
        return None


def _initial_round(course: CellLoop, workers: Workers, crew: int) -> Round:
    if course.initial_state is None:
        return course.strategy.init(course.channel.broadcast_initial(workers.weights(crew)[0].clone()))
    workers.load_state_dict(crew, course.initial_state.crew, course.initial_state.step)
    return course.initial_state.round


def _correct_gradients(workers: Workers, crew: int, going: _ActiveCell, t: int) -> _ActiveCell | None:
    """Let the strategy of a cell replace the gradients of local step t. Returns None if the strategy raised."""
    if going.corrects is None:
        return going
    channel, g_KD = going.course.channel, workers.gradients(crew)
    channel.ledger.step = t + 1
    try:
        with torch.no_grad():
            g_KD.copy_(going.corrects.correct(t, g_KD, going.round, channel))
    except Exception as error:
        going.course.on_error(error)
        return None
    return going


def _advance(workers: Workers, crew: int, going: _ActiveCell, t: int, losses: BatchMetrics) -> _ActiveCell | None:
    """The cell after local step t; None if that was its last step or an error ended it."""
    try:
        r, more = _step(workers, crew, going, t, workers.metrics_of(crew, losses))
    except Exception as error:
        # an exception of a strategy fails its own cell only
        going.course.on_error(error)
        return None
    return going._replace(round=r) if more and t + 1 < going.course.steps else None


def _step(workers: Workers, crew: int, going: _ActiveCell, t: int, losses: BatchMetrics) -> tuple[Round, bool]:
    course, w_KD = going.course, workers.weights(crew)
    course.channel.ledger.step = t + 1
    with torch.no_grad():
        outcome = course.strategy.step(t, w_KD, going.round, course.channel)
    more = course.on_step(StepEvent(t + 1, losses, outcome, going.round, w_KD, workers.statistics(crew)))
    if outcome.synced:
        workers.load_synced_models(crew, outcome.w_KD, course.channel)
    course.on_step_end(lambda: TrainingState(t + 1, outcome.round, workers.state_dict(crew)))
    return outcome.round, more
