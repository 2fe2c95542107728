"""The workers held by this process, as one matrix, crew by crew. Shape suffixes as in `engine.arrays`."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from fdabench.core.channel import Channel
from fdabench.core.row_sums import row_squared_norms
from fdabench.engine.arrays import BatchMetrics, LabeledData, WorkerMatrix
from fdabench.engine.dropout_keys import dropout_keys, dropout_layers, seed_tensor
from fdabench.engine.flatten import flatten, kernel_mask, parameters, running_stats
from fdabench.engine.precision import Precision
from fdabench.engine.sampling import Indices, Sampler, SamplerState
from fdabench.optimizers.base import ClipsGradients, HasSchedule, LocalOptimizer, scheduled_lr

BatchStatistics = Literal["local", "averaged"]
"""Running statistics stay with their worker, as in the paper, or are averaged at every sync and counted."""


class GradientFn(Protocol):
    """How the gradients of all rows are found: `Sequential` or `Vectorized`, to rounding the same."""

    def __call__(self, drawn: Sequence[Indices], keys_KL: Tensor) -> BatchMetrics: ...


class GradientFnFactory(Protocol):
    """Makes the gradients of a matrix of workers."""

    def __call__(
        self, model: nn.Module, rows: WorkerMatrix, examples: LabeledData, precision: Precision
    ) -> GradientFn: ...


@dataclass(frozen=True)
class TrainingConfig:
    """What all rows of a matrix have in common."""

    model: nn.Module
    local: LocalOptimizer
    examples: LabeledData
    engine: GradientFnFactory
    precision: Precision = "fp32"
    kernel_l2: float = 0.0
    """As in `models.base.Architecture`."""
    batchnorm_stats: BatchStatistics = "local"
    steps: int = 0
    """Local steps of the budget, which a schedule of the learning rate is stretched to."""


@dataclass(frozen=True)
class WorkerGroup:
    """The workers of one cell before their first step: where they start, what they see, and their seeds for dropout."""

    start: nn.Module
    samplers: Sequence[Sampler]
    noise: Sequence[int]


class WorkerGroupState(NamedTuple):
    """All that the workers of a crew are between two local steps."""

    w_KD: Tensor
    b_KB: Tensor
    optimizer_states: list[dict[str, Any]]
    """What the local optimizer keeps of each row."""
    sampler_states: list[SamplerState]
    """Where each worker's sampler stands."""

    def shard(self, held: range) -> "WorkerGroupState":
        """Of some of its workers."""
        rows = slice(held.start, held.stop)
        return WorkerGroupState(
            self.w_KD[rows], self.b_KB[rows], self.optimizer_states[rows], self.sampler_states[rows]
        )

    @staticmethod
    def concat(parts: Sequence["WorkerGroupState"]) -> "WorkerGroupState":
        """Of the workers of all parts, in this order."""
        if len(parts) == 1:
            return parts[0]
        return WorkerGroupState(
            torch.cat([each.w_KD for each in parts]),
            torch.cat([each.b_KB for each in parts]),
            list(chain.from_iterable(each.optimizer_states for each in parts)),
            list(chain.from_iterable(each.sampler_states for each in parts)),
        )


class Workers:
    """Row k of `rows.w_KD` is the model of the k-th worker; one elementwise optimizer steps them all."""

    def __init__(self, training: TrainingConfig, crews: Sequence[WorkerGroup]) -> None:
        self._training = training
        self._layers = len(dropout_layers(training.model))
        self._t = 0
        # a gradient of 2 * kernel_l2 * w; most models have none, and pay nothing
        l2 = training.kernel_l2
        self._decay_D = kernel_mask(training.model, 2 * l2) if l2 else None
        sizes = [len(crew.samplers) for crew in crews]
        starts = [flatten(parameters(crew.start)).expand(size, -1) for crew, size in zip(crews, sizes, strict=True)]
        running = [flatten(list(running_stats(crew.start).values())) for crew in crews]
        b_KB = torch.cat([b_B.expand(size, -1) for b_B, size in zip(running, sizes, strict=True)])
        self._allocate(list(crews), torch.cat(starts), b_KB)

    def _allocate(self, crews: list[WorkerGroup], w_KD: Tensor, b_KB: Tensor) -> None:
        self.rows = WorkerMatrix(w_KD, torch.zeros_like(w_KD), b_KB.to(w_KD))
        self._crews = crews
        self._samplers = list(chain.from_iterable(crew.samplers for crew in crews))
        self._seed_K = seed_tensor([seed for crew in crews for seed in crew.noise], w_KD.device)
        ends = accumulate((len(crew.samplers) for crew in crews), initial=0)
        self._slices = [slice(*span) for span in pairwise(ends)]
        self._optimized = [nn.Parameter(w_D) for w_D in self.rows.w_KD]
        for row, g_D in zip(self._optimized, self.rows.g_KD, strict=True):
            row.grad = g_D
        training = self._training
        self._gradients = training.engine(training.model, self.rows, training.examples, training.precision)
        self._optimizer = training.local.build(self._optimized)
        local = training.local
        self._scheduled = local if isinstance(local, HasSchedule) and local.schedule is not None else None
        self._clip = local.clip if isinstance(local, ClipsGradients) else None

    def weights(self, crew: int = 0) -> Tensor:
        """The models of one crew, shape [its workers, D]."""
        return self.rows.w_KD[self._slices[crew]]

    def statistics(self, crew: int = 0) -> Tensor:
        """The running statistics of one crew, shape [its workers, B]."""
        return self.rows.b_KB[self._slices[crew]]

    def gradients(self, crew: int = 0) -> Tensor:
        """The gradients of one crew, shape [its workers, D]: what `update` steps with."""
        return self.rows.g_KD[self._slices[crew]]

    def step(self) -> BatchMetrics:
        """One local optimizer step by every worker on a fresh mini-batch."""
        losses = self.backward()
        self.update()
        return losses

    def backward(self) -> BatchMetrics:
        """The gradients of every worker on a fresh mini-batch, the L2 penalty of its kernels included."""
        drawn = [sampler.next_batch() for sampler in self._samplers]
        losses = self._gradients(drawn, dropout_keys(self._seed_K, self._t, self._layers))
        if self._decay_D is not None:
            self.rows.g_KD.addcmul_(self.rows.w_KD, self._decay_D)
        return losses

    def update(self) -> None:
        """One step of every worker's local optimizer with the gradients as they are now, after they are clipped."""
        if self._clip is not None:
            # as torch.nn.utils.clip_grad_norm_ for each worker
            norm_K = row_squared_norms(self.rows.g_KD).sqrt()
            self.rows.g_KD.mul_((self._clip / (norm_K + 1e-6)).clamp(max=1.0)[:, None])
        if self._scheduled is not None:
            self._optimizer.param_groups[0]["lr"] = scheduled_lr(self._scheduled, self._t, self._training.steps)
        self._optimizer.step()
        self._t += 1

    def metrics_of(self, crew: int, losses: BatchMetrics) -> BatchMetrics:
        """What one crew saw."""
        span = self._slices[crew]
        return BatchMetrics(losses.loss_K[span], losses.accuracy_K[span])

    @torch.no_grad()
    def load_synced_models(self, crew: int, w_KD: Tensor, channel: Channel) -> None:
        """Go on from other models; running statistics and the optimizer's state are treated as the training says."""
        self.weights(crew).copy_(w_KD)
        b_KB = self.statistics(crew)
        if self._training.batchnorm_stats == "averaged" and b_KB.numel():
            b_KB.copy_(channel.mean(b_KB, "statistics").expand_as(b_KB))
        mine = self._optimized[self._slices[crew]]
        if self._training.local.state_on_sync == "reset":
            for row in mine:
                self._optimizer.state.pop(row, None)
        elif self._training.local.state_on_sync == "average":
            for moments in self._moments(mine):
                mean_D = channel.mean(torch.stack(moments), "optimizer")
                for moment_D in moments:
                    moment_D.copy_(mean_D)

    def _moments(self, rows: Sequence[nn.Parameter]) -> list[list[Tensor]]:
        """What the optimizer remembers of each row, such as momentum: for each kind, a vector for each row."""
        states = [self._optimizer.state[row] for row in rows]
        kinds = [kind for kind, value in states[0].items() if torch.is_tensor(value) and value.dim()]
        return [[state[kind] for state in states] for kind in kinds]

    def state_dict(self, crew: int) -> WorkerGroupState:
        """Shares memory with the workers: to be written down before they move on."""
        span = self._slices[crew]
        remembered = [dict(self._optimizer.state[row]) for row in self._optimized[span]]
        return WorkerGroupState(
            self.weights(crew),
            self.statistics(crew),
            remembered,
            [sampler.state_dict() for sampler in self._samplers[span]],
        )

    @torch.no_grad()
    def load_state_dict(self, crew: int, state: WorkerGroupState, step: int) -> None:
        """Go on as a crew that was in this state after `step` local steps, as all crews of the matrix have to be."""
        self._t, span = step, self._slices[crew]
        self.weights(crew).copy_(state.w_KD)
        self.statistics(crew).copy_(state.b_KB)
        for row, remembered in zip(self._optimized[span], state.optimizer_states, strict=True):
            self._optimizer.state[row] = remembered
        for sampler, position in zip(self._samplers[span], state.sampler_states, strict=True):
            sampler.load_state_dict(position)

    @torch.no_grad()
    def retain_groups(self, crews: Sequence[int]) -> None:
        """Go on with some crews only, numbered anew."""
        kept = [k for crew in crews for k in range(len(self._optimized))[self._slices[crew]]]
        states = [self._optimizer.state[self._optimized[k]] for k in kept]
        self._allocate([self._crews[crew] for crew in crews], self.rows.w_KD[kept], self.rows.b_KB[kept])
        for row, state in zip(self._optimized, states, strict=True):
            self._optimizer.state[row] = state
