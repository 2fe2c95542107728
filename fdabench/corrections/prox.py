"""The proximal term of FedProx (Li et al., MLSys 2020)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.strategy import (
    CorrectedGradients,
    CorrectionUpdate,
    MeansForecast,
    PlannedRun,
    Round,
    StepContext,
)
from fdabench.hyperparameters import NonNegative
from fdabench.optimizers.base import LocalOptimizer
from fdabench.optimizers.sgd import SGD


@dataclass(frozen=True)
class Prox:
    """Pull each worker towards the global model: g_k <- g_k + mu (w_k - w_t0), the gradient of mu/2 |w_k - w_t0|^2.

    It sends nothing. The authors tried mu in {0.001, 0.01, 0.1, 1}. The term passes through clipping and the local
    optimizer, so with Adam its size does not matter alone. Plain SGD diverges
    where lr mu > 2, which suites refuse.
    """

    mu: NonNegative = 0.01
    worker_state: ClassVar[tuple[str, ...]] = ()
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="prox", formula="g_k ← g_k + μ (w_k − w₀)", references=("li2020fedprox",)
    )

    def incompatibility(self, optimizer: LocalOptimizer) -> str:
        if not (isinstance(optimizer, SGD) and optimizer.momentum == 0 and optimizer.lr * self.mu > 2):
            return ""
        return (
            f"correction prox with mu = {self.mu:g} diverges with SGD of lr = {optimizer.lr:g}, because each step then "
            f"moves a worker past the global model, farther than it was; take mu <= {2 / optimizer.lr:g}"
        )

    def init(self, w_D: Tensor) -> tuple[()]:
        return ()

    def correct(self, ctx: StepContext, r: Round, channel: Channel) -> CorrectedGradients:
        if self.mu == 0:
            return CorrectedGradients(ctx.g_KD)
        return CorrectedGradients(ctx.g_KD + self.mu * (ctx.w_KD - r.anchor_D))

    def end_round(self, ctx: StepContext, r: Round, channel: Channel) -> CorrectionUpdate:
        return CorrectionUpdate((), {})

    def forecast_means(self, run: PlannedRun) -> MeansForecast:
        return MeansForecast(0, 0)
