"""Any trigger with any server optimizer, codec and correction."""

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.codec import AnyCodec
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
from fdabench.core.trigger import Trigger
from fdabench.hyperparameters import FeedbackDecay
from fdabench.servers.average import Average


@dataclass(frozen=True)
class Rounds:
    """Synchronize when the trigger decides so.

    FedAvg is this with the trigger `period`, and FDA would be with one that evaluates a monitor.
    """

    when: Trigger
    server: ServerOptimizer = Average()
    codec: AnyCodec | None = None
    feedback: FeedbackDecay | None = None
    correction: Correction | None = None
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Rounds",
        formula="when the trigger decides so, w ← w + ū, or what the server makes of ū",
        references=("reddi2021",),
        label="{when}",
    )

    def __post_init__(self) -> None:
        _ = self.rule  # refuses parts that do not make sense together

    @property
    def rule(self) -> SyncRule:
        return SyncRule(self.server, self.codec, self.feedback, self.correction)

    def init(self, w_D: Tensor) -> Round:
        return initial_round(w_D, self.rule, self.when.init(w_D))

    def step(self, ctx: StepContext, r: Round, channel: Channel) -> StepResult:
        decision = self.when.check(ctx, r, channel)
        if decision.sync:
            return synchronize(ctx, r, self.rule, channel, decision.estimate, decision.theta, decision.state)
        r = r if decision.state is r.trigger else replace(r, trigger=decision.state)
        return StepResult(ctx.w_KD, r, False, decision.estimate, decision.theta)

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        return self.when.forecast_traffic(run)
