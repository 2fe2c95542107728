"""Learning-rate schedules: the learning rate of a local step as a share of the optimizer's `lr`.

A schedule is a function of the step and of the budget alone, so all workers of a cell have the same learning rate, and
it is the same wherever the cell is computed. It is given with the local optimizer:

    optimizer = { kind = "sgd", lr = 0.1, schedule = { kind = "cosine", warmup = 0.05, final = 0.01 } }

>>> cosine = CosineLR(warmup=0.5, final=0.0)
>>> [round(cosine.factor(t, steps=8), 3) for t in range(8)]
[0.25, 0.5, 0.75, 1.0, 1.0, 0.854, 0.5, 0.146]
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, cos, pi
from typing import Annotated, ClassVar

from annotated_types import Ge, Le, Lt

from fdabench.component_info import ComponentInfo
from fdabench.hyperparameters import PositiveFloat, Steps

Warmup = Annotated[float, Ge(0), Lt(1)]
WarmupSteps = Annotated[int, Ge(0), Le(10**9)]
FinalShare = Annotated[float, Ge(0), Le(1)]


def _warmup_steps(warmup: float, warmup_steps: int, steps: int) -> int:
    """Steps of the warm-up; a share of the budget is rounded up."""
    return warmup_steps or ceil(Fraction(str(warmup)) * steps)


def _check_warmup(warmup: float, warmup_steps: int) -> None:
    """
    Raises:
        ValueError: the warm-up is given twice.
    """
    if warmup and warmup_steps:
        raise ValueError("both warmup and warmup_steps are given; remove one of them")


@dataclass(frozen=True)
class ConstantLR:
    """The learning rate stays as it is after a linear warm-up.

    With a warm-up of W steps, lr(t) = lr (t + 1) / W for t < W (Goyal et al., 2017).
    """

    warmup: Warmup = 0.0
    warmup_steps: WarmupSteps = 0
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="constant", formula="lr(t) = lr min(1, (t+1)/W)", references=("goyal2017",)
    )

    def __post_init__(self) -> None:
        _check_warmup(self.warmup, self.warmup_steps)

    def factor(self, t: int, steps: int) -> float:
        return _ramp(t, _warmup_steps(self.warmup, self.warmup_steps, steps))


@dataclass(frozen=True)
class StepLR:
    """The learning rate falls by a factor at regular intervals, as torch.optim.lr_scheduler.StepLR does it.

    lr(t) = lr gamma^floor(t / interval), times the ramp of the warm-up.
    """

    interval: Steps
    gamma: PositiveFloat = 0.1
    warmup: Warmup = 0.0
    warmup_steps: WarmupSteps = 0
    info: ClassVar[ComponentInfo] = ComponentInfo(name="step", formula="lr(t) = lr γ^⌊t/interval⌋")

    def __post_init__(self) -> None:
        _check_warmup(self.warmup, self.warmup_steps)

    def factor(self, t: int, steps: int) -> float:
        ramp = _ramp(t, _warmup_steps(self.warmup, self.warmup_steps, steps))
        falls: int = t // self.interval
        return ramp * self.gamma**falls


@dataclass(frozen=True)
class CosineLR:
    """The learning rate falls along half a cosine to a share of itself at the end of the budget.

    After a warm-up of W of T steps, lr(t) = lr (final + (1 - final) (1 + cos(pi (t - W) / (T - W))) / 2), as Loshchilov
    and Hutter (2017) without restarts.
    """

    final: FinalShare = 0.0
    warmup: Warmup = 0.0
    warmup_steps: WarmupSteps = 0
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="cosine", formula="lr(t) = lr (f + (1−f)(1 + cos(π (t−W)/(T−W)))/2)", references=("loshchilov2017",)
    )

    def __post_init__(self) -> None:
        _check_warmup(self.warmup, self.warmup_steps)

    def factor(self, t: int, steps: int) -> float:
        start = _warmup_steps(self.warmup, self.warmup_steps, steps)
        if t < start:
            return _ramp(t, start)
        return self.final + (1 - self.final) * 0.5 * (1 + cos(pi * _progress(t, start, steps)))


@dataclass(frozen=True)
class LinearLR:
    """The learning rate falls linearly to a share of itself at the end of the budget.

    After a warm-up of W of T steps, lr(t) = lr (final + (1 - final) (1 - (t - W) / (T - W))).
    """

    final: FinalShare = 0.0
    warmup: Warmup = 0.0
    warmup_steps: WarmupSteps = 0
    info: ClassVar[ComponentInfo] = ComponentInfo(name="linear", formula="lr(t) = lr (f + (1−f)(1 − (t−W)/(T−W)))")

    def __post_init__(self) -> None:
        _check_warmup(self.warmup, self.warmup_steps)

    def factor(self, t: int, steps: int) -> float:
        start = _warmup_steps(self.warmup, self.warmup_steps, steps)
        if t < start:
            return _ramp(t, start)
        return self.final + (1 - self.final) * (1 - _progress(t, start, steps))


def _ramp(t: int, warmup_steps: int) -> float:
    """The share of the warm-up that step t has: the first step has a part of the learning rate, not 0."""
    return min(1.0, (t + 1) / warmup_steps) if warmup_steps else 1.0


def _progress(t: int, start: int, steps: int) -> float:
    """How much of the budget after the warm-up lies behind step t, from 0; 1 at its end and beyond."""
    return min(1.0, (t - start) / (steps - start)) if steps > start else 1.0
