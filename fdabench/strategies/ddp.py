"""Gradient averaging, as torch's DistributedDataParallel does it (Li et al., VLDB 2020)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.strategy import PlannedRun, Round, StepContext, StepResult, SyncRule, TrafficForecast
from fdabench.core.sync import initial_round
from fdabench.corrections.averaged import Averaged
from fdabench.servers.average import Average


@dataclass(frozen=True)
class DDP:
    """g_k <- mean_j g_j at every step, before the local optimizers: all workers hold one model and one optimizer state.

    A step costs what a step of `Synchronous` costs, D numbers of each worker, of kind `gradient`. With SGD the two are
    one algorithm, to rounding; with Adam they are not, because Synchronous' workers keep moments of their own.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="DDP",
        formula="g_k ← ḡ at every step, before the local optimizers",
        references=("li2020",),
        sync_period=1,
        color="#5B6770",
        marker="p",
    )

    @property
    def rule(self) -> SyncRule:
        return SyncRule(Average(), correction=Averaged())

    def init(self, w_D: Tensor) -> Round:
        return initial_round(w_D, self.rule)

    def step(self, ctx: StepContext, r: Round, channel: Channel) -> StepResult:
        w_D = ctx.w_KD[0].clone()  # equal gradients and equal states: the rows are equal to the last bit
        following = Round(w_D, r.anchor_D, r.server, r.index + 1, start=ctx.t + 1, correction=r.correction)
        return StepResult(w_D.expand_as(ctx.w_KD), following, True)

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        return TrafficForecast(run.steps, run.steps, num_gradient_syncs=run.steps)
