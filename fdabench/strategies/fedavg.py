"""FedAvg, also called local SGD: synchronize after a fixed number of local steps (McMahan et al., 2017)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.codec import AnyCodec
from fdabench.core.schedule import is_period_end
from fdabench.core.strategy import (
    Correction,
    PlannedRun,
    Round,
    ServerOptimizer,
    StepContext,
    StepResult,
    SyncRule,
    TrafficForecast,
)
from fdabench.core.sync import initial_round, synchronize
from fdabench.hyperparameters import FeedbackDecay, Steps
from fdabench.servers.average import Average


@dataclass(frozen=True)
class FedAvg:
    """Average the models after a fixed number of local steps (local SGD); with another server it is FedOpt.

    FedOpt: Reddi et al., 2021.
    """

    period: Steps
    server: ServerOptimizer = Average()
    codec: AnyCodec | None = None
    feedback: FeedbackDecay | None = None
    correction: Correction | None = None
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="FedAvg",
        formula="after every τ local steps w ← w + ū, or what the server makes of ū",
        references=("mcmahan2017",),
        color="#3399DD",
        marker="P",
    )

    def __post_init__(self) -> None:
        _ = self.rule  # refuses parts that do not make sense together

    @property
    def rule(self) -> SyncRule:
        return SyncRule(self.server, self.codec, self.feedback, self.correction)

    def init(self, w_D: Tensor) -> Round:
        return initial_round(w_D, self.rule)

    def step(self, ctx: StepContext, r: Round, channel: Channel) -> StepResult:
        if not is_period_end(ctx.t, self.period):
            return StepResult(ctx.w_KD, r, False)
        return synchronize(ctx, r, self.rule, channel)

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        syncs = int(run.steps // self.period)
        return TrafficForecast(syncs, syncs)
