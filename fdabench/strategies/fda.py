"""Federated Dynamic Averaging (Theologitis et al., EDBT 2025), Algorithm 1."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Le
from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.codec import Codec
from fdabench.core.monitor import Monitor
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
from fdabench.hyperparameters import Count, FeedbackDecay, Threshold
from fdabench.servers.average import Average

Lag = Annotated[int, Ge(0), Le(10_000)]


@dataclass(frozen=True)
class FDA:
    """Average the models when the monitor estimates that their variance exceeds theta; train locally until then.

    Keep the round invariant Var(w_t) <= theta: stay local while H(S_t) <= theta, synchronize otherwise.

    The monitor is evaluated every `every` steps.
    """

    theta: Threshold
    monitor: Monitor
    every: Count = 1
    server: ServerOptimizer = Average()
    codec: Codec | None = None
    feedback: FeedbackDecay | None = None
    correction: Correction | None = None
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="FDA",
        formula="sync once H > θ; until then Var ≤ H ≤ θ",
        references=("theologitis2025",),
        label="{monitor}FDA",
        group="FDA",
    )

    def __post_init__(self) -> None:
        _ = self.rule  # refuses parts that do not make sense together

    @property
    def rule(self) -> SyncRule:
        return SyncRule(self.server, self.codec, self.feedback, self.correction)

    def init(self, w_D: Tensor) -> Round:
        return initial_round(w_D, self.rule)

    def step(self, ctx: StepContext, r: Round, channel: Channel) -> StepResult:
        if not is_period_end(ctx.t, self.every):
            return StepResult(ctx.w_KD, r, False)
        u_KD = ctx.w_KD - r.anchor_D  # u_t^(k) = w_t^(k) - w_t0
        s_S = channel.mean(self.monitor.local_state(u_KD, r), "state")  # S_t = 1/K sum_k S_t^(k)
        h = self.monitor.variance_bound(s_S).item()  # H(S_t) >= Var(w_t)
        if h <= self.theta:
            return StepResult(ctx.w_KD, r, False, h, self.theta)
        return synchronize(ctx, r, self.rule, channel, h, self.theta)

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        checks = run.steps // self.every
        return TrafficForecast(0, checks, checks, self.monitor.state_size(run.num_parameters))
