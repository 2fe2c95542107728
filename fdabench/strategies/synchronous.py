"""Synchronous: average the models after every step. FDA with theta < 0, and FedAvg with a period of one."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.strategy import PlannedRun, Round, StepContext, StepResult, SyncRule, TrafficForecast
from fdabench.core.sync import initial_round, synchronize
from fdabench.servers.average import Average


@dataclass(frozen=True)
class Synchronous:
    """Average the models after every local step.

    w_k <- mean_j w_j at every step: parameters are averaged after the local optimizer moved them, not gradients.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Synchronous",
        formula="w_k ← w̄ after every local step",
        references=("theologitis2025",),
        sync_period=1,
        is_reference=True,
        color="#000000",
        marker="s",
    )

    @property
    def rule(self) -> SyncRule:
        return SyncRule(Average())

    def init(self, w_D: Tensor) -> Round:
        return initial_round(w_D, self.rule)

    def step(self, ctx: StepContext, r: Round, channel: Channel) -> StepResult:
        return synchronize(ctx, r, self.rule, channel)

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        return TrafficForecast(run.steps, run.steps)
