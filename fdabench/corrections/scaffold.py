"""The control variates of SCAFFOLD (Karimireddy et al., ICML 2020)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.strategy import (
    CorrectedGradients,
    CorrectionUpdate,
    MeansForecast,
    PlannedRun,
    Round,
    RoundInfo,
    StepContext,
)
from fdabench.optimizers.base import LocalOptimizer
from fdabench.optimizers.sgd import SGD

CONTROL, GRADIENT_SUM = "control", "gradient_sum"


@dataclass(frozen=True)
class Scaffold:
    """Remove each worker's bias: g_k <- g_k + c - c_k, where c_k is its own mean gradient and c the mean of all c_k.

    At a sync of a round whose learning rates sum to s, `of = "drift"` is option II of the paper:
    c_k <- c_k - c + (w_t0 - w_k) / s, the mean gradient that moved the worker. It holds for SGD without momentum and
    clipping. `of = "gradient"` takes the mean of the worker's gradients over the round, for any optimizer, and keeps
    one vector more. Both begin with c_k = c = 0, and c <- c + mean of the changes of c_k.

    A sync sends two vectors, the model and the changes of c_k. c is always the mean of the c_k of all clients: where K
    of N train in a round, it moves by K / N times the mean of the changes.
    """

    of: Literal["drift", "gradient"] = "drift"
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="scaffold", formula="g_k ← g_k + c − c_k; c_k ← c_k − c + (w₀ − w_k)/Σ lr", references=("karimireddy2020",)
    )

    @property
    def worker_state(self) -> tuple[str, ...]:
        return (CONTROL,) if self.of == "drift" else (CONTROL, GRADIENT_SUM)

    def incompatibility(self, optimizer: LocalOptimizer) -> str:
        plain = isinstance(optimizer, SGD) and optimizer.momentum == 0 and optimizer.clip is None
        if self.of == "gradient" or plain:
            return ""
        return (
            'correction scaffold with of = "drift" needs SGD without momentum and clipping, because it takes '
            '(w_t0 - w_k) / lr for a sum of gradients; write of = "gradient"'
        )

    def speeds_fault(self, normalized: bool) -> str:
        return "its control variates are means over the steps of a round, of which slow workers make fewer"

    def init(self, w_D: Tensor) -> Tensor:
        return torch.zeros_like(w_D)

    def correct(self, ctx: StepContext, r: Round, channel: Channel) -> CorrectedGradients:
        g_KD = ctx.g_KD + r.correction - ctx.worker_state[CONTROL]
        if self.of == "drift":
            return CorrectedGradients(g_KD)
        return CorrectedGradients(g_KD, {GRADIENT_SUM: ctx.worker_state[GRADIENT_SUM] + ctx.g_KD})

    def end_round(self, ctx: StepContext, r: Round, channel: Channel) -> CorrectionUpdate:
        c_KD, changed = ctx.worker_state[CONTROL], {}
        if self.of == "drift":
            lr_sum = RoundInfo(r.start, ctx.t + 1, ctx.lr_at).lr_sum
            next_KD = c_KD - r.correction + (r.anchor_D - ctx.w_KD) / lr_sum
        else:
            next_KD = ctx.worker_state[GRADIENT_SUM] / (ctx.t + 1 - r.start)
            changed = {GRADIENT_SUM: torch.zeros_like(c_KD)}
        c_D = torch.add(r.correction, channel.mean(next_KD - c_KD, "control"), alpha=channel.client_share)
        return CorrectionUpdate(c_D, {CONTROL: next_KD, **changed})

    def forecast_means(self, run: PlannedRun) -> MeansForecast:
        return MeansForecast(0, 1)
