"""Gradients of one worker after another: fastest on a CPU. Shape suffixes as in `engine.arrays`."""

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from fdabench.engine.arrays import BatchMetrics, LabeledData, WorkerMatrix
from fdabench.engine.dropout_keys import dropout_layers
from fdabench.engine.flatten import parameters, running_stats, unflatten
from fdabench.engine.loss import correct_predictions, cross_entropy
from fdabench.engine.precision import Precision, autocast, matmul_precision, plain_attention
from fdabench.partitions.base import Indices


class SequentialGradients:
    """Binds one model to the row of each worker in turn, and copies the gradients to the worker's row of `g_KD`."""

    def __init__(self, model: nn.Module, rows: WorkerMatrix, examples: LabeledData, precision: Precision) -> None:
        self._model, self._examples, self._precision = model, examples, precision
        self._dropouts = dropout_layers(model)
        weights, buffers = parameters(model), list(running_stats(model).values())
        self._weights = [list(zip(weights, unflatten(w_D, weights), strict=True)) for w_D in rows.w_KD]
        self._parameters = weights
        self._gradients = [list(unflatten(g_D, weights)) for g_D in rows.g_KD]
        self._buffers = [list(zip(buffers, unflatten(b_B, buffers), strict=True)) for b_B in rows.b_KB]

    def __call__(self, batches: Sequence[Indices], keys_KL: Tensor) -> BatchMetrics:
        """Write the gradient of each worker's mean loss over its batch into `g_KD`."""
        self._model.train()
        attention = plain_attention() if self._examples.x.is_cuda else nullcontext()
        with matmul_precision(self._precision), attention:
            results = [
                self._worker_gradients(k, indices, key_L)
                for k, (indices, key_L) in enumerate(zip(batches, keys_KL, strict=True))
            ]
        losses, accuracies = zip(*results, strict=True)
        return BatchMetrics(torch.stack(losses), torch.stack(accuracies))

    def _worker_gradients(self, k: int, indices: Indices, key_L: Tensor) -> tuple[Tensor, Tensor]:
        self._bind(k, key_L)
        batch = torch.from_numpy(indices).to(self._examples.x.device)
        x, y = self._examples.select(batch)
        with autocast(self._precision, x.device):
            logits = self._model(x)
            loss = cross_entropy(logits, y)
        for gradient, computed in zip(self._gradients[k], torch.autograd.grad(loss, self._parameters), strict=True):
            gradient.copy_(computed)
        return loss.detach(), correct_predictions(logits.detach(), y).float().mean()

    def _bind(self, k: int, key_L: Tensor) -> None:
        for parameter, weight in self._weights[k]:
            parameter.data = weight
        for buffer, statistic in self._buffers[k]:
            buffer.data = statistic
        for dropout, key in zip(self._dropouts, key_L, strict=True):
            dropout.key = key
