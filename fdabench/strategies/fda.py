"""Federated Dynamic Averaging (Theologitis et al., EDBT 2025), Algorithm 1."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.monitor import Monitor
from fdabench.core.schedule import is_period_end
from fdabench.core.strategy import Round, ServerOptimizer, StepResult, TrafficForecast, initial_round, synchronize
from fdabench.hyperparameters import Count, Threshold
from fdabench.servers.average import Average


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
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="FDA",
        formula="sync once H > θ; until then Var ≤ H ≤ θ",
        references=("theologitis2025",),
        label="{monitor}FDA",
        group="FDA",
    )

    def init(self, w_D: Tensor) -> Round:
        return initial_round(w_D, self.server)

    def step(self, t: int, w_KD: Tensor, r: Round, channel: Channel) -> StepResult:
        if not is_period_end(t, self.every):
            return StepResult(w_KD, r, False)
        u_KD = w_KD - r.anchor_D  # u_t^(k) = w_t^(k) - w_t0
        s_S = channel.mean(self.monitor.local_state(u_KD, r), "state")  # S_t = 1/K sum_k S_t^(k)
        h = self.monitor.variance_bound(s_S).item()  # H(S_t) >= Var(w_t)
        if h <= self.theta:
            return StepResult(w_KD, r, False, h)
        return synchronize(w_KD, r, self.server, channel, h)

    def forecast_traffic(self, steps: int, num_parameters: int) -> TrafficForecast:
        checks = steps // self.every
        return TrafficForecast(0, checks, checks, self.monitor.state_size(num_parameters))
