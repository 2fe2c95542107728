"""Periods that a user schedules: one before a step and another after it, or periods that double."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.schedule import ON_TIME, Delay, count_period_ends, period_delay
from fdabench.core.strategy import PlannedRun, Round, StepContext, TrafficForecast
from fdabench.core.trigger import Decision
from fdabench.hyperparameters import Count, Steps


@dataclass(frozen=True)
class Stages:
    """Rounds of `first` steps until step `switch`, and of `period` steps after it: post-local SGD (Lin et al., 2020).

    A round ends once it has had as many steps as the period of the current stage, so a shorter period cuts it short.
    The first sync comes after step `first`; that of the authors' code comes after step 1. Their ResNet-20: first 1,
    switch at epoch 150 of 300, then 16 steps. Models are averaged in both stages, as in the authors' code. torch's
    PostLocalSGDOptimizer averages gradients in the first stage, another method with momentum or Adam: for that,
    give `correction = { kind = "averaged", until_steps = ... }`, and a `first` above `switch` for torch's steps.
    """

    switch: Steps
    period: Steps
    first: Count = 1
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Stages",
        formula="sync after τ₁ steps until the switch, after τ₂ steps from then on",
        references=("lin2020",),
    )

    def init(self, w_D: Tensor) -> Delay:
        return ON_TIME

    def check(self, ctx: StepContext, r: Round, channel: Channel) -> Decision:
        return _check(ctx, r, self.first if ctx.t < self.switch else self.period)

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        syncs = count_period_ends(run.steps, [(self.switch, self.first), (Fraction(run.steps), self.period)])
        return TrafficForecast(syncs, syncs)


@dataclass(frozen=True)
class Doubling:
    """Rounds of `first` steps, then twice as many after each `every` steps, up to `most`: 0/1 Adam (Lu et al., 2022).

    The first sync comes after step `first`. DeepSpeed's 0/1 Adam stops at 16 steps (`local_step_clipper`). This is the
    schedule of 0/1 Adam, not its optimizer, which freezes the variance and sends signs.
    """

    every: Steps
    first: Count = 1
    most: Count = 16
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Doubling", formula="sync after min(most, τ₁ 2^⌊t/every⌋) steps", references=("lu2022",)
    )

    def __post_init__(self) -> None:
        if self.first > self.most:
            raise ValueError(f"first: {self.first} is above most, which is {self.most}")

    def init(self, w_D: Tensor) -> Delay:
        return ON_TIME

    def check(self, ctx: StepContext, r: Round, channel: Channel) -> Decision:
        return _check(ctx, r, self._period(int(ctx.t // self.every)))

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        syncs = count_period_ends(run.steps, self._stages(run.steps))
        return TrafficForecast(syncs, syncs)

    def _period(self, stage: int) -> int:
        return min(self.most, self.first << min(stage, 30))  # 2^30 is above the largest `most`

    def _stages(self, steps: int) -> Iterator[tuple[Fraction, int]]:
        yield from (((stage + 1) * self.every, self._period(stage)) for stage in range(30))
        yield Fraction(steps), self.most


def _check(ctx: StepContext, r: Round, period: Fraction | int) -> Decision:
    delay = period_delay(ctx.t + 1 - r.start, r.trigger, period)
    return Decision(False, r.trigger) if delay is None else Decision(True, delay)
