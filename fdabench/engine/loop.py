"""The training loop: it alternates local steps and whatever the strategies make of them, and knows no strategy.

Several cells may share one matrix of workers: each has a crew of it, a strategy, a ledger and an end of its own, and
none sees another's rows.
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
    """The end of a local step, seen before its sync, if any, is handed to the workers: when the paper evaluates."""

    step: int
    """Local steps made, from 1."""
    losses: BatchMetrics
    outcome: StepResult
    round: Round
    """The round that this step belongs to."""
    w_KD: Tensor
    """The workers' models before the sync."""
    b_KB: Tensor
    """Their running statistics."""


class TrainingState(NamedTuple):
    """All that a course is between two local steps, but for its ledger."""

    step: int
    """Local steps made."""
    round: Round
    crew: WorkerGroupState


def _raise(error: Exception) -> None:
    raise error


def _pass(stand: Callable[[], TrainingState]) -> None:
    pass


@dataclass(frozen=True)
class CellLoop:
    """One cell's way through the loop: `steps` local steps, or until `goes_on`, which sees every moment, says no."""

    strategy: Strategy
    channel: Channel
    steps: int
    on_step: Callable[[StepEvent], bool]
    on_error: Callable[[Exception], None] = _raise
    """Told what its strategy or its observer raised; the other cells go on."""
    on_step_end: Callable[[Callable[[], TrainingState]], None] = _pass
    """Called after each local step, and its sync if any, with a way to ask how things stand."""
    initial_state: TrainingState | None = None
    """Where the course goes on from, if not from the beginning; its ledger does as well."""

    @property
    def start_step(self) -> int:
        """Local steps that lie behind."""
        return self.initial_state.step if self.initial_state else 0


class _ActiveCell(NamedTuple):
    course: CellLoop
    round: Round
    corrects: CorrectsGradients | None
    """The strategy, if it changes gradients; asked once, because most change none."""


def train_loop(workers: Workers, courses: Sequence[CellLoop]) -> None:
    """Run all courses side by side; the n-th has the n-th crew. All have made as many steps."""
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
    """The course with the gradients that its strategy wants for local step t; None if the strategy failed."""
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
    """The course after local step t; None at its end."""
    try:
        r, more = _step(workers, crew, going, t, workers.metrics_of(crew, losses))
    except Exception as error:
        # whatever a strategy raises is its own cell's failure
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
