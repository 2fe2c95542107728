"""Gradient centralization (Yong et al., ECCV 2020): the gradient of each kernel has a mean of zero."""

from dataclasses import dataclass

from torch import Tensor

from fdabench import api


@dataclass(frozen=True)
class Centralized:
    """g_k <- g_k - mean(g_k) over each output of a kernel; biases and other vectors stay as they are."""

    worker_state = ()
    info = api.ComponentInfo(
        formula="g_k ← g_k − mean(g_k) for each output of a kernel",
        references=("@inproceedings{yong2020, title = {Gradient Centralization}, booktitle = {ECCV}}",),
    )

    def init(self, w_D: Tensor) -> tuple[()]:
        return ()

    def correct(self, ctx: api.StepContext, r: api.Round, channel: api.Channel) -> api.CorrectedGradients:
        g_KD = ctx.g_KD.clone()
        for tensor in ctx.layout:
            if len(tensor.shape) > 1:
                rows = g_KD[:, tensor.start : tensor.stop].view(len(g_KD), tensor.shape[0], -1)
                rows -= rows.mean(2, keepdim=True)
        return api.CorrectedGradients(g_KD)

    def end_round(self, ctx: api.StepContext, r: api.Round, channel: api.Channel) -> api.CorrectionUpdate:
        return api.CorrectionUpdate((), {})

    def forecast_means(self, run: api.PlannedRun) -> api.MeansForecast:
        return api.MeansForecast(0, 0)


CORRECTIONS = {"centralized": Centralized}
