"""Per-layer FDA: each layer has its own state and threshold, and is synchronized alone.

Shape suffixes: K = workers of this process, L = layers.
"""

from dataclasses import dataclass, replace
from itertools import groupby
from typing import ClassVar, Literal

import torch

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.codec import AnyCodec, Layout
from fdabench.core.row_sums import row_squared_norms
from fdabench.core.schedule import is_period_end
from fdabench.core.strategy import RESIDUAL, PlannedRun, Round, StepContext, StepResult, SyncRule, TrafficForecast
from fdabench.core.sync import WHOLE, global_update, initial_round
from fdabench.hyperparameters import Count, FeedbackDecay, Threshold
from fdabench.servers.average import Average

LayerKind = Literal["tensors", "modules"]


@dataclass(frozen=True)
class LayerwiseFDA:
    """Average each layer when mean |u_k[l]|^2, over the drifts of this layer, exceeds theta n_l / D.

    A layer of n_l of the D parameters has the state of the naive monitor, 4 bytes, and its share of theta. The layers
    that exceed theirs are averaged in one message, and their drifts start anew; the others go on. Between checks every
    layer is at or below its threshold, so the sum of the states, which bounds the variance of the whole model, is at
    most theta. With one layer this is FDA with the naive monitor.

    A layer is a tensor of parameters, or a module of PyTorch with its own parameters, such as weight and bias. The
    server is the average, as in the authors' code.
    """

    theta: Threshold
    every: Count = 1
    layers: LayerKind = "tensors"
    codec: AnyCodec | None = None
    feedback: FeedbackDecay | None = None
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Layerwise FDA",
        formula="w[l] ← w[l] + ū[l] once mean ‖u[l]‖² > θ nₗ/D, for each layer l alone",
        references=("theologitis2025",),
        variant="naive monitor of each layer",
        color="#B5651D",
        marker="<",
        group="FDA",
    )

    def __post_init__(self) -> None:
        _ = self.rule  # refuses parts that do not make sense together

    @property
    def rule(self) -> SyncRule:
        return SyncRule(Average(), self.codec, self.feedback, by_layer=True)

    def init(self, w_D: torch.Tensor) -> Round:
        return initial_round(w_D, self.rule)

    def step(self, ctx: StepContext, r: Round, channel: Channel) -> StepResult:
        if not is_period_end(ctx.t, self.every):
            return StepResult(ctx.w_KD, r, False)
        size = len(r.anchor_D)
        layers = layer_slices(ctx.layout, self.layers) or (slice(0, size),)
        u_KD = ctx.w_KD - r.anchor_D
        s_KL = torch.stack([row_squared_norms(u_KD[:, layer]) for layer in layers], 1)
        s_L = channel.mean(s_KL, "state")
        estimate = s_L.sum().item()
        share_L = [(layer.stop - layer.start) / size for layer in layers]
        checked = zip(layers, s_L.tolist(), share_L, strict=True)
        due = [layer for layer, state, share in checked if state > self.theta * share]
        if not due:
            return StepResult(ctx.w_KD, r, False, estimate, self.theta)
        part = WHOLE if len(due) == len(layers) else _indices(due, u_KD.device)
        update = global_update(ctx, r, self.rule, channel, part)
        anchor_D, w_KD = r.anchor_D.clone(), ctx.w_KD.clone()
        anchor_D[part], w_KD[:, part] = update.w_D, update.w_D
        following = replace(r, anchor_D=anchor_D, previous_anchor_D=r.anchor_D, index=r.index + 1, start=ctx.t + 1)
        changed = None if update.residual_KD is None else {RESIDUAL: update.residual_KD}
        return StepResult(w_KD, following, True, estimate, self.theta, changed)

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        checks = run.steps // self.every
        return TrafficForecast(0, checks, checks, max(1, len(layer_slices(run.layout, self.layers))))


def layer_slices(layout: Layout, layers: LayerKind) -> tuple[slice, ...]:
    """Where each layer lies in a row.

    Args:
        layout: the tensors of the model.
        layers: `tensors`: each is a layer. `modules`: consecutive tensors of one module are a layer.
    """
    if layers == "tensors":
        return tuple(slice(layer.start, layer.stop) for layer in layout)
    groups = [list(group) for _, group in groupby(layout, key=lambda layer: layer.name.rpartition(".")[0])]
    return tuple(slice(group[0].start, group[-1].stop) for group in groups)


def _indices(parts: list[slice], device: torch.device) -> torch.Tensor:
    return torch.cat([torch.arange(part.start, part.stop, device=device) for part in parts])
