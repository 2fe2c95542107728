"""Gradient averaging before the local optimizers, as torch's DistributedDataParallel does it (Li et al., VLDB 2020)."""

from dataclasses import dataclass
from math import ceil
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.strategy import CorrectedGradients, CorrectionUpdate, MeansForecast, PlannedRun, Round, StepContext
from fdabench.hyperparameters import Steps
from fdabench.optimizers.base import LocalOptimizer


@dataclass(frozen=True)
class Averaged:
    """Every worker steps along the mean gradient: g_k <- mean_j g_j.

    Each step costs D numbers of each worker, of kind `gradient`, besides what the syncs cost. With equal optimizer
    states all workers hold one model, so syncs change nothing; the strategy `ddp` makes none.

    From step `until` on nothing is averaged. With the trigger `stages`, `switch` = `until` and a `first` above it, this
    is torch's PostLocalSGDOptimizer; Lin et al. (2020) average models in the first stage too.
    """

    until: Steps | None = None
    worker_state: ClassVar[tuple[str, ...]] = ()
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="averaged", formula="g_k ← ḡ, until a step if one is given", references=("li2020",)
    )

    def incompatibility(self, optimizer: LocalOptimizer) -> str:
        if optimizer.state_on_sync == "keep" or self.until is not None:
            return ""
        return (
            f'optimizer.state_on_sync: "{optimizer.state_on_sync}" with averaged gradients, which keep the optimizer '
            'states of all workers equal; only "keep" is allowed'
        )

    def speeds_fault(self, normalized: bool) -> str:
        return "it averages the gradients of every step, and a slow worker has none in most of them"

    def init(self, w_D: Tensor) -> tuple[()]:
        return ()

    def correct(self, ctx: StepContext, r: Round, channel: Channel) -> CorrectedGradients:
        if self.until is not None and ctx.t >= self.until:
            return CorrectedGradients(ctx.g_KD)
        return CorrectedGradients(channel.mean(ctx.g_KD, "gradient").expand_as(ctx.g_KD))

    def end_round(self, ctx: StepContext, r: Round, channel: Channel) -> CorrectionUpdate:
        return CorrectionUpdate((), {})

    def forecast_means(self, run: PlannedRun) -> MeansForecast:
        return MeansForecast(run.steps if self.until is None else min(run.steps, ceil(self.until)), 0)
