"""The dynamic regularization of FedDyn (Acar et al., ICLR 2021)."""

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
from fdabench.hyperparameters import PositiveFloat

MULTIPLIER = "multiplier"


@dataclass(frozen=True)
class Dyn:
    """Pull each worker towards the global model, and away from where it drifts: g_k <- g_k + alpha (w_k - w_t0) - h_k.

    At a sync h_k <- h_k - alpha u_k. It sends nothing. FedDyn is this with the server `dyn`; with another server the
    fixed points of FedDyn are lost. The authors use alpha = 0.1, 0.01 and 0.001, and SGD.
    """

    alpha: PositiveFloat = 0.01
    worker_state: ClassVar[tuple[str, ...]] = (MULTIPLIER,)
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="dyn", formula="g_k ← g_k + α (w_k − w₀) − h_k; h_k ← h_k − α u_k", references=("acar2021",)
    )

    def speeds_fault(self, normalized: bool) -> str:
        fault = 'its multipliers add up the drifts as they are, and averaging = "steps" scales what the server receives'
        return fault if normalized else ""

    def init(self, w_D: Tensor) -> tuple[()]:
        return ()

    def correct(self, ctx: StepContext, r: Round, channel: Channel) -> CorrectedGradients:
        pull_KD = self.alpha * (ctx.w_KD - r.anchor_D)
        return CorrectedGradients(ctx.g_KD + pull_KD - ctx.worker_state[MULTIPLIER])

    def end_round(self, ctx: StepContext, r: Round, channel: Channel) -> CorrectionUpdate:
        h_KD = ctx.worker_state[MULTIPLIER] - self.alpha * (ctx.w_KD - r.anchor_D)
        return CorrectionUpdate((), {MULTIPLIER: h_KD})

    def forecast_means(self, run: PlannedRun) -> MeansForecast:
        return MeansForecast(0, 0)
