"""Learning-rate schedules: the learning rate of a local step as a factor of the optimizer's `lr`.

A schedule depends on the step and the budget only. So all workers of a cell have the same learning rate, on every
engine and in every process. A suite sets it as a key of the local optimizer:

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
"""The length of the warm-up as a share of the budget."""
WarmupSteps = Annotated[int, Ge(0), Le(10**9)]
"""The length of the warm-up in local steps."""
FinalShare = Annotated[float, Ge(0), Le(1)]
"""The learning rate at the end of the budget, as a factor of `lr`."""


def _warmup_steps(warmup: float, warmup_steps: int, steps: int) -> int:
    """Return the steps of the warm-up. A share of the budget is rounded up."""
    return warmup_steps or ceil(Fraction(str(warmup)) * steps)


def _check_warmup(warmup: float, warmup_steps: int) -> None:
    """Check that the length of the warm-up is given once.

    Raises:
        ValueError: it is given both as a share and in steps.
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
        """Return the factor of `lr` at step t (see `LRSchedule.factor`).

        >>> [ConstantLR(warmup_steps=4).factor(t, steps=8) for t in range(5)]
        [0.25, 0.5, 0.75, 1.0, 1.0]
        """
        return _ramp(t, _warmup_steps(self.warmup, self.warmup_steps, steps))


@dataclass(frozen=True)
class StepLR:
    """The learning rate falls by a factor at regular intervals, as torch.optim.lr_scheduler.StepLR does it.

    lr(t) = lr gamma^floor(t / interval), times the ramp of the warm-up.
    """

    interval: Steps
    """Local steps between two decreases."""
    gamma: PositiveFloat = 0.1
    """The factor of each decrease."""
    warmup: Warmup = 0.0
    warmup_steps: WarmupSteps = 0
    info: ClassVar[ComponentInfo] = ComponentInfo(name="step", formula="lr(t) = lr γ^⌊t/interval⌋")

    def __post_init__(self) -> None:
        _check_warmup(self.warmup, self.warmup_steps)

    def factor(self, t: int, steps: int) -> float:
        """Return the factor of `lr` at step t (see `LRSchedule.factor`).

        >>> [StepLR(interval=2, gamma=0.5).factor(t, steps=6) for t in range(6)]
        [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
        """
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
        """Return the factor of `lr` at step t (see `LRSchedule.factor`)."""
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
        """Return the factor of `lr` at step t (see `LRSchedule.factor`).

        >>> [LinearLR(final=0.5).factor(t, steps=4) for t in range(5)]
        [1.0, 0.875, 0.75, 0.625, 0.5]
        """
        start = _warmup_steps(self.warmup, self.warmup_steps, steps)
        if t < start:
            return _ramp(t, start)
        return self.final + (1 - self.final) * (1 - _progress(t, start, steps))


def _ramp(t: int, warmup_steps: int) -> float:
    """Return the factor of a linear warm-up at step t. It is not 0 at the first step.

    >>> [_ramp(t, 4) for t in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """
    return min(1.0, (t + 1) / warmup_steps) if warmup_steps else 1.0


def _progress(t: int, start: int, steps: int) -> float:
    """Return which share of the steps after the warm-up precedes step t.

    It is 0 at `start`, and 1 at the end of the budget and later.
    """
    return min(1.0, (t - start) / (steps - start)) if steps > start else 1.0
