"""FedAvg, also called local SGD: synchronize after a fixed number of local steps (McMahan et al., 2017)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.schedule import is_period_end
from fdabench.core.strategy import Round, ServerOptimizer, StepResult, TrafficForecast, initial_round, synchronize
from fdabench.hyperparameters import Steps
from fdabench.servers.average import Average


@dataclass(frozen=True)
class FedAvg:
    """Average the models after a fixed number of local steps (local SGD); with another server it is FedOpt.

    FedOpt: Reddi et al., 2021.
    """

    period: Steps
    server: ServerOptimizer = Average()
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="FedAvg",
        formula="after every τ local steps w ← w + ū, or what the server makes of ū",
        references=("mcmahan2017",),
        color="#3399DD",
        marker="P",
    )

    def init(self, w_D: Tensor) -> Round:
        return initial_round(w_D, self.server)

    def step(self, t: int, w_KD: Tensor, r: Round, channel: Channel) -> StepResult:
        if not is_period_end(t, self.period):
            return StepResult(w_KD, r, False)
        return synchronize(w_KD, r, self.server, channel)

    def forecast_traffic(self, steps: int, num_parameters: int) -> TrafficForecast:
        syncs = int(steps // self.period)
        return TrafficForecast(syncs, syncs)
