"""The quadratic synchronization rule (Gu et al., ICLR 2024): the period grows as the learning rate falls."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import floor, isnan
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.strategy import PlannedRun, Round, StepContext, TrafficForecast
from fdabench.core.trigger import Decision
from fdabench.hyperparameters import Count, PositiveFloat

LRAt = Callable[[int], float]


@dataclass(frozen=True)
class QSR:
    """Each round has h = max(least, floor((rate / lr)^power)) steps, where lr is the learning rate of its first step.

    The first sync comes after h steps; the last step of the budget always synchronizes.

    `power` is 2 in the paper and 1 by default in the authors' code; `least` is 1 in that code and 4 in the paper's runs
    with ViT-B, whose `rate` is 0.0175 at a peak of 0.008. `rate` 0, as in the authors' example script, is FedAvg.
    During a warm-up the rule takes the peak that the warm-up leads to. That is our convention; the authors' code has a
    separate period for the warm-up. At a constant learning rate the rule is FedAvg with one more sync at the end.
    """

    rate: PositiveFloat
    least: Count = 1
    power: PositiveFloat = 2.0
    follows_learning_rate: ClassVar[bool] = True
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="QSR", formula="h = max(least, ⌊(rate/lr)^power⌋) steps until the next sync", references=("gu2024",)
    )

    def init(self, w_D: Tensor) -> int:
        return 0  # the number of steps at which the next sync is due; `check` computes the first from the schedule

    def check(self, ctx: StepContext, r: Round, channel: Channel) -> Decision:
        done = ctx.t + 1
        due = r.trigger or self._due(0, ctx.steps, ctx.lr_at, 0)
        if done < due:
            return Decision(False, due)
        return Decision(True, self._due(done, ctx.steps, ctx.lr_at, done))

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        syncs = sum(1 for _ in self.sync_steps(run))
        return TrafficForecast(syncs, syncs)

    def sync_steps(self, run: PlannedRun) -> Iterator[int]:
        """The numbers of steps after which the workers synchronize."""
        done = peak = 0
        while done < run.steps:
            # all steps of one warm-up lead to one peak, so it is sought once
            peak = _peak(run.lr_at, max(done, peak), run.steps)
            done = self._due(done, run.steps, run.lr_at, peak)
            yield done

    def _due(self, done: int, steps: int, lr_at: LRAt, start: int) -> int:
        """The number of steps at which the round that begins after `done` steps ends.

        Args:
            done: local steps before the round.
            steps: local steps of the budget.
            lr_at: as in `PlannedRun`.
            start: where to begin to look for the peak of the warm-up, at least `done`.

        Raises:
            ValueError: the local optimizer has no learning rate.
        """
        left = max(1, steps - done)  # 0 steps are left after the last one, and a period has at least one
        lr = lr_at(_peak(lr_at, start, steps))
        if isnan(lr):
            raise ValueError("qsr needs the learning rate, and this local optimizer has no field `lr`")
        try:
            h = floor(float((self.rate / lr) ** self.power))
        except (ZeroDivisionError, OverflowError):
            h = left  # the learning rate is 0, or so small that no budget has the steps
        return done + min(max(self.least, h), left)


def _peak(lr_at: LRAt, t: int, steps: int) -> int:
    """The local step with the highest learning rate of the warm-up that step `t` belongs to; `t` itself without one."""
    while t + 1 < steps and lr_at(t + 1) > lr_at(t):
        t += 1
    return t
