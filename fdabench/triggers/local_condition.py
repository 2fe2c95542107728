"""Local conditions (Kamp et al., 2018): synchronize as soon as one worker has moved too far."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.row_sums import row_squared_norms
from fdabench.core.schedule import is_period_end
from fdabench.core.strategy import PlannedRun, Round, StepContext, TrafficForecast
from fdabench.core.trigger import Decision
from fdabench.hyperparameters import Count, Threshold


@dataclass(frozen=True)
class LocalCondition:
    """Synchronize once |u_k|^2 > theta at any worker k; it is checked every `every` steps.

    Var(w_t) <= max_k |u_k|^2, so FDA's round invariant holds. At equal theta the first sync is never later than that
    of FDA with the naive monitor, as max_k |u_k|^2 >= mean_k |u_k|^2.

    Each worker sends a float32 number of 0 or 1 (one bit would do). All workers synchronize; Kamp et al. also try to
    average a part of them first.
    """

    theta: Threshold
    every: Count = 1
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="LocalCondition", formula="sync once ‖u_k‖² > θ at one worker", references=("kamp2019",)
    )

    def init(self, w_D: Tensor) -> tuple[()]:
        return ()

    def check(self, ctx: StepContext, r: Round, channel: Channel) -> Decision:
        if not is_period_end(ctx.t, self.every):
            return Decision(False)
        u_KD = ctx.w_KD - r.anchor_D
        outside_K1 = (row_squared_norms(u_KD)[:, None] > self.theta).to(u_KD.dtype)
        return Decision(channel.mean(outside_K1, "state").item() > 0, theta=self.theta)

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        checks = run.steps // self.every
        return TrafficForecast(0, checks, num_states=checks, state_size=1)
