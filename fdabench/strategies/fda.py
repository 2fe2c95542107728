"""Federated Dynamic Averaging (Theologitis et al., EDBT 2025), Algorithm 1."""

from dataclasses import dataclass, replace
from math import inf, nan
from typing import Annotated, ClassVar

from annotated_types import Ge, Le
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
from fdabench.core.sync import initial_round, synchronize
from fdabench.hyperparameters import Count, FeedbackDecay, Threshold
from fdabench.servers.average import Average

Lag = Annotated[int, Ge(0), Le(10_000)]


@dataclass(frozen=True)
class FDA:
    """Average the models when the monitor estimates that their variance exceeds theta; train locally until then.

    Keep the round invariant Var(w_t) <= theta: stay local while H(S_t) <= theta, synchronize otherwise.

    The monitor is evaluated every `every` steps. Three options are not in Algorithm 1. `most` bounds the checks in a
    round, as in FDA-Opt. `last` synchronizes at the last step of the budget. `lag` decides at step t on the states of
    step t - lag, so that their all-reduce may overlap the steps between: the invariant then holds for w_(t-lag).
    """

    theta: Threshold
    monitor: Monitor
    every: Count = 1
    server: ServerOptimizer = Average()
    codec: AnyCodec | None = None
    feedback: FeedbackDecay | None = None
    correction: Correction | None = None
    most: Count | None = None
    lag: Lag | None = None
    last: bool | None = None
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
        return initial_round(w_D, self.rule, self._nothing_pending)

    def step(self, ctx: StepContext, r: Round, channel: Channel) -> StepResult:
        h = None
        if is_period_end(ctx.t, self.every):
            u_KD = ctx.w_KD - r.anchor_D  # u_t^(k) = w_t^(k) - w_t0
            s_S = channel.mean(self.monitor.local_state(u_KD, r), "state", self.lag or 0)  # S_t = 1/K sum_k S_t^(k)
            h = self.monitor.variance_bound(s_S).item()  # H(S_t) >= Var(w_t)
        if self.lag:
            h, r = _delay(h, r)
        estimate = nan if h is None else h
        if (h is None or h <= self.theta) and not self._must_synchronize(ctx, r):
            return StepResult(ctx.w_KD, r, False, estimate, self.theta)
        return synchronize(ctx, r, self.rule, channel, estimate, self.theta, self._nothing_pending)

    def _must_synchronize(self, ctx: StepContext, r: Round) -> bool:
        if self.last is True and ctx.is_last:
            return True
        return self.most is not None and (ctx.t + 1) // self.every - r.start // self.every >= self.most

    @property
    def _nothing_pending(self) -> tuple[float, ...]:
        return (-inf,) * (self.lag or 0)

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        checks = run.steps // self.every
        least = checks // self.most if self.most else 0
        most = checks + (self.last is True and run.steps % self.every > 0)
        size = self.monitor.state_size(run.num_parameters)
        return TrafficForecast(max(least, self.last is True), most, checks, size)


def _delay(h: float | None, r: Round) -> tuple[float | None, Round]:
    """Queue this step's estimate, -inf for none, and take the one that is due."""
    pending: tuple[float, ...] = (*r.trigger, -inf if h is None else h)
    return None if pending[0] == -inf else pending[0], replace(r, trigger=pending[1:])
