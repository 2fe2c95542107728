"""Gradient averaging, as torch's DistributedDataParallel does it (Li et al., VLDB 2020)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.strategy import Round, StepResult, TrafficForecast, initial_round
from fdabench.servers.average import Average


@dataclass(frozen=True)
class DDP:
    """g_k <- mean_j g_j at every step, before the local optimizers: all workers hold one model and one optimizer state.

    A step costs what a step of `Synchronous` costs, D numbers of each worker, of kind `gradient`. With SGD the two are
    one algorithm, to rounding; with Adam they are not, because Synchronous' workers keep moments of their own.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="DDP",
        formula="g_k ← ḡ at every step, before the local optimizers",
        references=("li2020",),
        sync_period=1,
        color="#5B6770",
        marker="p",
    )

    def init(self, w_D: Tensor) -> Round:
        return initial_round(w_D, Average())

    def correct(self, t: int, g_KD: Tensor, r: Round, channel: Channel) -> Tensor:
        return channel.mean(g_KD, "gradient").expand_as(g_KD)

    def step(self, t: int, w_KD: Tensor, r: Round, channel: Channel) -> StepResult:
        w_D = w_KD[0].clone()  # equal gradients and equal states: the rows are equal to the last bit
        return StepResult(w_D.expand_as(w_KD), Round(w_D, r.anchor_D, r.server, r.index + 1), True)

    def forecast_traffic(self, steps: int, num_parameters: int) -> TrafficForecast:
        return TrafficForecast(steps, steps)
