"""A sync after a fixed number of local steps: FedAvg, also called local SGD (McMahan et al., 2017)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.schedule import is_period_end
from fdabench.core.strategy import PlannedRun, Round, StepContext, TrafficForecast
from fdabench.core.trigger import Decision
from fdabench.hyperparameters import Steps


@dataclass(frozen=True)
class Period:
    """Synchronize after every `period` local steps.

    The first sync comes after step `period`, as in torchft and accelerate; in torch's PeriodicModelAverager it comes
    one step after the warm-up.
    """

    period: Steps
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Period", formula="sync after steps τ, 2τ, 3τ, …", references=("mcmahan2017",)
    )

    def init(self, w_D: Tensor) -> tuple[()]:
        return ()

    def check(self, ctx: StepContext, r: Round, channel: Channel) -> Decision:
        return Decision(is_period_end(ctx.t, self.period))

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        syncs = int(run.steps // self.period)
        return TrafficForecast(syncs, syncs)
