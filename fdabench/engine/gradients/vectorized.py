"""Gradients of all workers at once, by torch.func.vmap: fastest on a GPU. Shape suffixes as in `engine.arrays`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from fdabench.engine.arrays import BatchMetrics, LabeledData, WorkerMatrix
from fdabench.engine.cuda_graph import GraphedFunction
from fdabench.engine.dropout_keys import dropout_layers
from fdabench.engine.flatten import named_trainable, parameters, running_stats, unflatten
from fdabench.engine.loss import correct_predictions, cross_entropy
from fdabench.engine.precision import Precision, autocast, matmul_precision, plain_attention
from fdabench.partitions.base import Indices

WorkerIndex = slice | Indices
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class _StepAux(NamedTuple):
    """The outputs of one worker's forward pass besides the loss."""

    accuracy: Tensor
    statistics: dict[str, Tensor]


class VectorizedGradients:
    """Maps one model, as a pure function of a worker's row, over the rows of all workers."""

    def __init__(self, model: nn.Module, rows: WorkerMatrix, examples: LabeledData, precision: Precision) -> None:
        self._model, self._rows, self._examples, self._precision = model, rows, examples, precision
        self._names = [name for name, _ in named_trainable(model)]
        self._like = [parameter.detach() for parameter in parameters(model)]
        self._statistics = {name: buffer.detach() for name, buffer in running_stats(model).items()}
        module_names = {id(module): name for name, module in model.named_modules()}
        self._keys = [f"{module_names[id(dropout)]}.key" for dropout in dropout_layers(model)]
        excluded = {*self._statistics, *self._keys}
        self._counters = {name: buffer for name, buffer in model.named_buffers() if name not in excluded}
        self._mapped = vmap(grad_and_value(self._loss, has_aux=True))
        self._graphs: dict[int, GraphedFunction] = {}

    def __call__(self, batches: Sequence[Indices], keys_KL: Tensor) -> BatchMetrics:
        """Write the gradient of each worker's mean loss over its batch into `g_KD`."""
        self._model.train()
        stacks = list(_group_by_batch_size(batches))
        if len(stacks) == 1 and self._examples.x.is_cuda:
            return self._graphed(stacks[0][1], keys_KL)
        loss_K, accuracy_K = torch.empty_like(self._rows.w_KD[:, 0]), torch.empty_like(self._rows.w_KD[:, 0])
        for members, stack in stacks:
            indices = torch.from_numpy(stack).to(self._examples.x.device, non_blocking=True)
            loss_K[members], accuracy_K[members] = self._stacked_gradients(members, indices, keys_KL[members])
        return BatchMetrics(loss_K, accuracy_K)

    def _graphed(self, stack: Indices, keys_KL: Tensor) -> BatchMetrics:
        """Losses and accuracies of all workers, by one CUDA graph for each batch size."""
        size = stack.shape[1]
        if size not in self._graphs:
            every_worker = slice(None)
            self._graphs[size] = GraphedFunction(
                partial(self._stacked_gradients, every_worker), self._examples.x.device
            )
        return self._graphs[size](torch.from_numpy(stack), keys_KL)

    def _stacked_gradients(self, members: WorkerIndex, indices: Tensor, keys: Tensor) -> BatchMetrics:
        """Losses and accuracies of these workers; writes their gradients and running statistics into their rows."""
        x, y = self._examples.x[indices], self._examples.y[indices]
        with matmul_precision(self._precision), plain_attention(), _float_batch_norm(self._model):
            g_MD, (loss_M, outputs) = self._mapped(self._rows.w_KD[members], self._rows.b_KB[members], keys, x, y)
        self._rows.g_KD[members] = g_MD
        if outputs.statistics:
            self._rows.b_KB[members] = torch.cat([part.flatten(1) for part in outputs.statistics.values()], 1)
        return BatchMetrics(loss_M, outputs.accuracy)

    def _loss(self, w_D: Tensor, b_B: Tensor, key_L: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, _StepAux]:
        weights = dict(zip(self._names, unflatten(w_D, self._like), strict=True))
        before = list(self._statistics.values())
        # batch normalization updates its buffers and its batch counter in place
        counters = {name: buffer.clone() for name, buffer in self._counters.items()}
        running = {name: part.clone() for name, part in zip(self._statistics, unflatten(b_B, before), strict=True)}
        keys = dict(zip(self._keys, key_L, strict=True))
        with autocast(self._precision, x.device):
            logits = functional_call(self._model, {**weights, **running, **counters, **keys}, (x,))
            loss = cross_entropy(logits, y)
        return loss, _StepAux(correct_predictions(logits, y).float().mean(), running)


@contextmanager
def _float_batch_norm(model: nn.Module) -> Iterator[None]:
    """Convert inputs of batch normalization to float32: under vmap its gradient cannot mix bfloat16 and float32."""
    norms = [module for module in model.modules() if isinstance(module, _NORMS)]
    hooks = [norm.register_forward_pre_hook(lambda module, inputs: (inputs[0].float(),)) for norm in norms]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _group_by_batch_size(batches: Sequence[Indices]) -> Iterator[tuple[WorkerIndex, Indices]]:
    """Group workers by batch size: their indices and their stacked batches. Almost always there is one group."""
    sizes = np.array([len(indices) for indices in batches])
    if (sizes == sizes[0]).all():
        yield slice(None), np.stack(batches)
        return
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        yield members, np.stack([indices for indices in batches if len(indices) == size])
