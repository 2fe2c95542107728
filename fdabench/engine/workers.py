"""The workers of this process as the rows of one matrix, and their local steps. Shape suffixes as in `engine.arrays`.

Several cells may share the matrix. The workers of one cell are a group: consecutive rows, numbered from 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, chain, pairwise
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from fdabench.core.channel import Channel
from fdabench.core.codec import Layout
from fdabench.core.row_sums import row_squared_norms
from fdabench.core.schedule import LocalSteps
from fdabench.engine.arrays import BatchMetrics, LabeledData, WorkerMatrix
from fdabench.engine.clients import WorkerRow, steps_of_rows
from fdabench.engine.dropout_keys import dropout_keys, dropout_layers, seed_tensor
from fdabench.engine.flatten import flatten, kernel_mask, parameters, row_layout, running_stats
from fdabench.engine.precision import Precision
from fdabench.engine.sampling import Sampler, SamplerState
from fdabench.optimizers.base import ClipsGradients, HasSchedule, LocalOptimizer, learning_rate, moment_periods
from fdabench.partitions.base import Indices

BatchStatistics = Literal["local", "averaged"]
"""`local`: running statistics stay with their worker, as in the FDA paper. `averaged`: they are averaged at every sync,
and the ledger records the message."""


class GradientFn(Protocol):
    """Computes the gradients of all workers. `SequentialGradients` and `VectorizedGradients` agree up to rounding."""

    def __call__(self, batches: Sequence[Indices], keys_KL: Tensor) -> BatchMetrics:
        """Write the gradients into `WorkerMatrix.g_KD`.

        Args:
            batches: the mini-batch of each worker, as indices into the training set.
            keys_KL: the dropout key of each worker and layer.
        """
        ...


class GradientFnFactory(Protocol):
    """Makes a `GradientFn` for a matrix of workers."""

    def __call__(
        self, model: nn.Module, rows: WorkerMatrix, examples: LabeledData, precision: Precision
    ) -> GradientFn: ...


@dataclass(frozen=True)
class TrainingConfig:
    """The settings that all workers of a matrix share."""

    model: nn.Module
    local: LocalOptimizer
    examples: LabeledData
    engine: GradientFnFactory
    precision: Precision = "fp32"
    kernel_l2: float = 0.0
    """As in `models.base.ModelSpec`."""
    batchnorm_stats: BatchStatistics = "local"
    steps: int = 0
    """Local steps of the budget, which a schedule of the learning rate is stretched to."""


@dataclass(frozen=True)
class WorkerGroup:
    """The workers of one cell before their first step.

    Args:
        start: the initial model, which all of them share.
        samplers: one for each worker.
        noise: the seed of each worker's dropout masks.
        local_steps: of these workers; None: each makes a step in every tick.
    """

    start: nn.Module
    samplers: Sequence[Sampler]
    noise: Sequence[int]
    local_steps: LocalSteps | None = None


class WorkerGroupState(NamedTuple):
    """The complete state of a worker group between two local steps."""

    w_KD: Tensor
    b_KB: Tensor
    optimizer_states: list[dict[str, object]]
    """The state of the local optimizer for each worker."""
    sampler_states: list[SamplerState]
    """The state of each worker's sampler."""
    worker_state: dict[str, Tensor]
    """Rows that the strategy keeps for each worker, by name, shape [K, D]."""

    def shard(self, workers: range) -> "WorkerGroupState":
        """The state of the workers in the range `workers`."""
        rows = slice(workers.start, workers.stop)
        return WorkerGroupState(
            self.w_KD[rows],
            self.b_KB[rows],
            self.optimizer_states[rows],
            self.sampler_states[rows],
            {name: x_KD[rows] for name, x_KD in self.worker_state.items()},
        )

    @staticmethod
    def concat(parts: Sequence["WorkerGroupState"]) -> "WorkerGroupState":
        """The state of the workers of all parts, in this order."""
        if len(parts) == 1:
            return parts[0]
        return WorkerGroupState(
            torch.cat([state.w_KD for state in parts]),
            torch.cat([state.b_KB for state in parts]),
            list(chain.from_iterable(state.optimizer_states for state in parts)),
            list(chain.from_iterable(state.sampler_states for state in parts)),
            {name: torch.cat([state.worker_state[name] for state in parts]) for name in parts[0].worker_state},
        )


def _peek(sampler: Sampler) -> Indices:
    """Return the mini-batch that a sampler draws next, and leave the sampler as it was.

    A worker that is still computing has the loss of the mini-batch of its next step, so that no mean has a gap.
    """
    position = sampler.state_dict()
    batch = sampler.next_batch()
    sampler.load_state_dict(position)
    return batch


class Workers:
    """Trains all workers of this process. Row k of `rows.w_KD` is the model of worker k.

    Args:
        training: the settings that all workers share.
        groups: the worker group of each cell; together they fill the matrix.
    """

    def __init__(self, training: TrainingConfig, groups: Sequence[WorkerGroup]) -> None:
        self._training = training
        self._layers = len(dropout_layers(training.model))
        self._t = 0
        # the penalty adds 2 * kernel_l2 * w to the gradient; most models have no penalty, so the product is skipped
        l2 = training.kernel_l2
        self._decay_D = kernel_mask(training.model, 2 * l2) if l2 else None
        sizes = [len(group.samplers) for group in groups]
        starts = [flatten(parameters(group.start)).expand(size, -1) for group, size in zip(groups, sizes, strict=True)]
        running = [flatten(list(running_stats(group.start).values())) for group in groups]
        b_KB = torch.cat([b_B.expand(size, -1) for b_B, size in zip(running, sizes, strict=True)])
        self._allocate(list(groups), torch.cat(starts), b_KB)

    def _allocate(self, groups: list[WorkerGroup], w_KD: Tensor, b_KB: Tensor) -> None:
        self.rows = WorkerMatrix(w_KD, torch.zeros_like(w_KD), b_KB.to(w_KD))
        self._groups = groups
        # slow workers make their first step late, and clients come and go: some rows have no optimizer state yet
        self._steps_some_rows = any(group.local_steps is not None for group in groups)
        self._samplers = list(chain.from_iterable(group.samplers for group in groups))
        self._seed_K = seed_tensor([seed for group in groups for seed in group.noise], w_KD.device)
        ends = accumulate((len(group.samplers) for group in groups), initial=0)
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

    def lr_at(self, t: int) -> float:
        """The learning rate of a local step; NaN where the optimizer has no `lr`."""
        return learning_rate(self._training.local, t, self._training.steps)

    @cached_property
    def layout(self) -> Layout:
        """The tensors of the model, in the order of a row."""
        return row_layout(self._training.model)

    def weights(self, group: int = 0) -> Tensor:
        """The models of one group, shape [its workers, D]."""
        return self.rows.w_KD[self._slices[group]]

    def statistics(self, group: int = 0) -> Tensor:
        """The running statistics of one group, shape [its workers, B]."""
        return self.rows.b_KB[self._slices[group]]

    def gradients(self, group: int = 0) -> Tensor:
        """The gradients of one group, shape [its workers, D]; `update` uses them."""
        return self.rows.g_KD[self._slices[group]]

    def step(self) -> BatchMetrics:
        """Make one local optimizer step of every worker on its next mini-batch."""
        losses = self.backward()
        self.update()
        return losses

    def backward(self) -> BatchMetrics:
        """Compute the gradient of every worker on its next mini-batch, the L2 penalty of its kernels included."""
        idle = self._idle_rows()
        batches = [
            sampler.next_batch() if k not in idle else _peek(sampler) for k, sampler in enumerate(self._samplers)
        ]
        losses = self._gradients(batches, dropout_keys(self._seed_K, self._t, self._layers))
        if self._decay_D is not None:
            self.rows.g_KD.addcmul_(self.rows.w_KD, self._decay_D)
        for k in idle:
            self.rows.g_KD[k].zero_()
        return losses

    def _idle_rows(self) -> frozenset[int]:
        """The rows of slow workers that make no step in this tick."""
        return frozenset(
            span.start + k
            for group, span in zip(self._groups, self._slices, strict=True)
            if group.local_steps is not None
            for k in group.local_steps.idle(self._t)
        )

    def update(self) -> None:
        """Clip the gradients and make one step of every worker's local optimizer with them."""
        if self._clip is not None:
            # as torch.nn.utils.clip_grad_norm_ for each worker
            norm_K = row_squared_norms(self.rows.g_KD).sqrt()
            self.rows.g_KD.mul_((self._clip / (norm_K + 1e-6)).clamp(max=1.0)[:, None])
        if self._scheduled is not None:
            self._optimizer.param_groups[0]["lr"] = self.lr_at(self._t)
        if self._steps_some_rows:
            self._update_some()
        else:
            self._optimizer.step()
        self._t += 1

    def _update_some(self) -> None:
        """Make one step of the rows that make one in this tick: of those with an optimizer state first.

        torch's fused SGD with momentum takes no rows with and without a state at the same time.
        """
        idle = self._idle_rows()
        with_state = {k for k, row in enumerate(self._optimized) if self._optimizer.state.get(row)} - idle
        for chosen in (with_state, set(range(len(self._optimized))) - idle - with_state):
            for k, row in enumerate(self._optimized):
                # torch optimizers leave a parameter without a gradient as it is, and its state too
                row.grad = self.rows.g_KD[k] if k in chosen else None
            if chosen:
                self._optimizer.step()
        for row, g_D in zip(self._optimized, self.rows.g_KD, strict=True):
            row.grad = g_D

    def metrics_of(self, group: int, losses: BatchMetrics) -> BatchMetrics:
        """The part of `losses` that belongs to one group."""
        span = self._slices[group]
        return BatchMetrics(losses.loss_K[span], losses.accuracy_K[span])

    @torch.no_grad()
    def load_synced_models(self, group: int, w_KD: Tensor, channel: Channel, syncs: int) -> None:
        """Replace the models of one group after a sync.

        Running statistics follow `TrainingConfig.batchnorm_stats`, optimizer states follow `state_on_sync`. Averages of
        either go through `channel`, which records them.

        Args:
            group: the index of the group.
            w_KD: the models after the sync, shape [K, D].
            channel: of the group's cell.
            syncs: the number of syncs so far, this one included.
        """
        self.weights(group).copy_(w_KD)
        b_KB = self.statistics(group)
        if self._training.batchnorm_stats == "averaged" and b_KB.numel():
            b_KB.copy_(channel.mean(b_KB, "statistics").expand_as(b_KB))
        rows = self._optimized[self._slices[group]]
        if self._training.local.state_on_sync == "reset":
            for row in rows:
                self._optimizer.state.pop(row, None)
        elif self._training.local.state_on_sync == "average":
            vectors = self._moments(rows)
            for moments, every in zip(vectors, moment_periods(self._training.local, len(vectors)), strict=True):
                if syncs % every:
                    continue
                mean_D = channel.mean(torch.stack(moments), "optimizer")
                for moment_D in moments:
                    moment_D.copy_(mean_D)

    def _moments(self, rows: Sequence[nn.Parameter]) -> list[list[Tensor]]:
        """The vectors of the optimizer's state, such as momentum: for each kind, one vector for each row."""
        states = [self._optimizer.state[row] for row in rows]
        kinds = [kind for kind, value in states[0].items() if torch.is_tensor(value) and value.dim()]
        return [[state[kind] for state in states] for kind in kinds]

    def state_dict(self, group: int, worker_state: Mapping[str, Tensor]) -> WorkerGroupState:
        """The state of one group. It shares memory with the workers: copy or write it before the next step.

        Args:
            group: the index of the group.
            worker_state: what the group's strategy keeps for each worker.
        """
        span = self._slices[group]
        optimizer_states = [dict(self._optimizer.state[row]) for row in self._optimized[span]]
        return WorkerGroupState(
            self.weights(group),
            self.statistics(group),
            optimizer_states,
            [sampler.state_dict() for sampler in self._samplers[span]],
            dict(worker_state),
        )

    @torch.no_grad()
    def load_state_dict(self, group: int, state: WorkerGroupState, step: int) -> None:
        """Restore one group to its state after `step` local steps. All groups must be at the same step."""
        self._t, span = step, self._slices[group]
        self.weights(group).copy_(state.w_KD)
        self.statistics(group).copy_(state.b_KB)
        for row, optimizer_states in zip(self._optimized[span], state.optimizer_states, strict=True):
            self._optimizer.state[row] = optimizer_states
        for sampler, position in zip(self._samplers[span], state.sampler_states, strict=True):
            sampler.load_state_dict(position)

    def take_rows(self, group: int) -> list[WorkerRow]:
        """Remove and return what the rows of a group hold apart from the model: see `engine.clients`."""
        span = self._slices[group]
        local_steps, noise = self._groups[group].local_steps, self._groups[group].noise
        speeds = [None] * len(noise) if local_steps is None else local_steps.speeds
        rows = zip(self._samplers[span], noise, self._optimized[span], speeds, strict=True)
        b_KB = self.statistics(group).clone()
        return [
            WorkerRow(sampler, seed, dict(self._optimizer.state.pop(row, {})), b_B, speed)
            for (sampler, seed, row, speed), b_B in zip(rows, b_KB, strict=True)
        ]

    @torch.no_grad()
    def put_rows(self, group: int, rows: list[WorkerRow]) -> None:
        """Fill the rows of a group, which `take_rows` has emptied."""
        span = self._slices[group]
        samplers, noise = [row.sampler for row in rows], [row.noise for row in rows]
        local_steps = steps_of_rows(rows)
        self._groups[group] = replace(self._groups[group], samplers=samplers, noise=noise, local_steps=local_steps)
        self._steps_some_rows = True
        self._samplers[span] = samplers
        self._seed_K[span] = seed_tensor(noise, self._seed_K.device)
        for parameter, b_B, row in zip(self._optimized[span], self.statistics(group), rows, strict=True):
            if row.optimizer_state:
                self._optimizer.state[parameter] = row.optimizer_state
            if row.b_B is not None:
                b_B.copy_(row.b_B)

    @torch.no_grad()
    def retain_groups(self, groups: Sequence[int]) -> None:
        """Keep only the groups with these indices, and renumber them from 0 in this order."""
        retained = [k for group in groups for k in range(len(self._optimized))[self._slices[group]]]
        states = [self._optimizer.state[self._optimized[k]] for k in retained]
        self._allocate([self._groups[group] for group in groups], self.rows.w_KD[retained], self.rows.b_KB[retained])
        for row, state in zip(self._optimized, states, strict=True):
            self._optimizer.state[row] = state
