"""FDA-Opt: FDA whose threshold follows the variance of the last round (Theologitis et al., 2025)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.codec import AnyCodec
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
from fdabench.core.sync import end_round, global_update, initial_round
from fdabench.hyperparameters import Count, FeedbackDecay
from fdabench.servers.average import Average


@dataclass(frozen=True)
class FDAOpt:
    """As FDA, with a threshold that aims at rounds of `most` / 2 checks, and at most `most` checks in a round.

    theta <- most / 2 * Var / checks, with the model variance at the sync and the checks of the round that ended, as if
    the variance grew linearly. theta is 0 at first, so the first round has one check.

    Var = mean |u_k|^2 - |mean u|^2 costs nothing: the first number of the states is |u_k|^2, and the mean drift crosses
    in the sync. With a lossy codec the mean drift is what arrived, and Var is taken to be at least 0.

    The authors check once in an epoch of 10 and take a sketch of 3 x 500.
    """

    monitor: Monitor
    every: Count = 1
    most: Count = 10
    server: ServerOptimizer = Average()
    codec: AnyCodec | None = None
    feedback: FeedbackDecay | None = None
    correction: Correction | None = None
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="FDA-Opt",
        formula="FDA with θ ← most/2 · Var/checks after each sync, at most `most` checks a round",
        references=("theologitis2025fdaopt",),
        label="{monitor}FDA-Opt",
        group="FDA",
        color="#1A237E",
        marker="^",
    )

    def __post_init__(self) -> None:
        if not getattr(self.monitor, "starts_with_squared_norm", False):
            name = type(self.monitor).__name__
            raise ValueError(f"monitor: the states of {name} do not begin with |u_k|^2, from which theta is computed")
        _ = self.rule  # refuses parts that do not make sense together

    @property
    def rule(self) -> SyncRule:
        return SyncRule(self.server, self.codec, self.feedback, self.correction)

    def init(self, w_D: Tensor) -> Round:
        return initial_round(w_D, self.rule, trigger=0.0)

    def step(self, ctx: StepContext, r: Round, channel: Channel) -> StepResult:
        if not is_period_end(ctx.t, self.every):
            return StepResult(ctx.w_KD, r, False)
        u_KD, theta = ctx.w_KD - r.anchor_D, r.trigger
        s_S = channel.mean(self.monitor.local_state(u_KD, r), "state")
        h = self.monitor.variance_bound(s_S).item()
        checks = (ctx.t + 1) // self.every - r.start // self.every
        if h <= theta and checks < self.most:
            return StepResult(ctx.w_KD, r, False, h, theta)
        update = global_update(ctx, r, self.rule, channel)
        variance = max(0.0, (s_S[0] - update.u_D.square().sum()).item())
        return end_round(ctx, r, self.rule, channel, update, h, theta, self.most / 2 * variance / checks)

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        checks = run.steps // self.every
        return TrafficForecast(-(-checks // self.most), checks, checks, self.monitor.state_size(run.num_parameters))
