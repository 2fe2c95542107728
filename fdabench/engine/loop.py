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
from fdabench.core.strategy import CorrectsGradients, Outcome, Round, Strategy
from fdabench.engine.rows import Losses
from fdabench.engine.workers import CrewState, Workers


class Moment(NamedTuple):
    """The end of a local step, seen before its sync, if any, is handed to the workers: when the paper evaluates."""

    step: int
    """Local steps made, from 1."""
    losses: Losses
    outcome: Outcome
    round: Round
    """The round that this step belongs to."""
    w_KD: Tensor
    """The workers' models before the sync."""
    b_KB: Tensor
    """Their running statistics."""


class Stand(NamedTuple):
    """All that a course is between two local steps, but for its ledger."""

    step: int
    """Local steps made."""
    round: Round
    crew: CrewState


def _raise(error: Exception) -> None:
    raise error


def _pass(stand: Callable[[], Stand]) -> None:
    pass


@dataclass(frozen=True)
class Course:
    """One cell's way through the loop: `steps` local steps, or until `goes_on`, which sees every moment, says no."""

    strategy: Strategy
    channel: Channel
    steps: int
    goes_on: Callable[[Moment], bool]
    failed: Callable[[Exception], None] = _raise
    """Told what its strategy or its observer raised; the other cells go on."""
    passed: Callable[[Callable[[], Stand]], None] = _pass
    """Called after each local step, and its sync if any, with a way to ask how things stand."""
    resumed: Stand | None = None
    """Where the course goes on from, if not from the beginning; its ledger does as well."""

    @property
    def made(self) -> int:
        """Local steps that lie behind."""
        return self.resumed.step if self.resumed else 0


class _Going(NamedTuple):
    course: Course
    round: Round
    corrects: CorrectsGradients | None
    """The strategy, if it changes gradients; asked once, because most change none."""


def run(workers: Workers, courses: Sequence[Course]) -> None:
    """Run all courses side by side; the n-th has the n-th crew. All have made as many steps."""
    going: list[_Going | None] = [_begun(course, workers, crew) for crew, course in enumerate(courses)]
    (t,) = {course.made for course in courses}
    while any(going):
        left = [crew for crew, each in enumerate(going) if each is not None]
        if len(left) < len(going):
            workers.keep(left)
        losses = workers.backward()
        going = [_corrected(workers, crew, each, t) for crew, each in enumerate(filter(None, going))]
        workers.update()
        going = [each and _advanced(workers, crew, each, t, losses) for crew, each in enumerate(going)]
        t += 1


def _begun(course: Course, workers: Workers, crew: int) -> _Going | None:
    try:
        if course.made >= course.steps:
            return None
        strategy = course.strategy
        corrects = strategy if isinstance(strategy, CorrectsGradients) else None
        return _Going(course, _first_round(course, workers, crew), corrects)
    except Exception as error:
        course.failed(error)
        return None


def _first_round(course: Course, workers: Workers, crew: int) -> Round:
    if course.resumed is None:
        return course.strategy.init(course.channel.distribute(workers.weights(crew)[0].clone()))
    workers.restore(crew, course.resumed.crew, course.resumed.step)
    return course.resumed.round


def _corrected(workers: Workers, crew: int, going: _Going, t: int) -> _Going | None:
    """The course with the gradients that its strategy wants for local step t; None if the strategy failed."""
    if going.corrects is None:
        return going
    channel, g_KD = going.course.channel, workers.gradients(crew)
    channel.ledger.step = t + 1
    try:
        with torch.no_grad():
            g_KD.copy_(going.corrects.correct(t, g_KD, going.round, channel))
    except Exception as error:
        going.course.failed(error)
        return None
    return going


def _advanced(workers: Workers, crew: int, going: _Going, t: int, losses: Losses) -> _Going | None:
    """The course after local step t; None at its end."""
    try:
        r, more = _step(workers, crew, going, t, workers.of(crew, losses))
    except Exception as error:
        # whatever a strategy raises is its own cell's failure
        going.course.failed(error)
        return None
    return going._replace(round=r) if more and t + 1 < going.course.steps else None


def _step(workers: Workers, crew: int, going: _Going, t: int, losses: Losses) -> tuple[Round, bool]:
    course, w_KD = going.course, workers.weights(crew)
    course.channel.ledger.step = t + 1
    with torch.no_grad():
        outcome = course.strategy.step(t, w_KD, going.round, course.channel)
    more = course.goes_on(Moment(t + 1, losses, outcome, going.round, w_KD, workers.statistics(crew)))
    if outcome.synced:
        workers.adopt(crew, outcome.w_KD, course.channel)
    course.passed(lambda: Stand(t + 1, outcome.round, workers.state(crew)))
    return outcome.round, more
