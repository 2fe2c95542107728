"""Gradients of all workers held here. Shape suffixes: K = workers held by this process, D = parameters."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

Batch = tuple[Tensor, Tensor]


class Losses(NamedTuple):
    """What the local steps saw: mean loss of each worker's batch, and the fraction that it had right."""

    loss_K: Tensor
    accuracy_K: Tensor


class Sequential:
    """One model, bound to one worker's row after the other; its gradients are accumulated in place."""

    def __init__(self, model: nn.Module, w_KD: Tensor, g_KD: Tensor) -> None:
        self._model, self._g_KD = model, g_KD
        self._parameters = list(model.parameters())
        self._rows = [
            list(zip(self._parameters, views(w_D, self._parameters), views(g_D, self._parameters), strict=True))
            for w_D, g_D in zip(w_KD, g_KD, strict=True)
        ]

    def __call__(self, batches: Sequence[Batch]) -> Losses:
        """Fill g_KD with the gradient of each worker's mean loss over its batch."""
        self._g_KD.zero_()
        self._model.train()
        loss_K = self._g_KD.new_zeros(len(batches))
        accuracy_K = self._g_KD.new_zeros(len(batches))
        for k, (x, y) in enumerate(batches):
            self._bind(k)
            logits = self._model(x)
            loss = nn.functional.cross_entropy(logits, y)
            loss.backward()
            loss_K[k] = loss.detach()
            accuracy_K[k] = (logits.detach().argmax(1) == y).float().mean()
        return Losses(loss_K, accuracy_K)

    def _bind(self, k: int) -> None:
        for parameter, weight, gradient in self._rows[k]:
            parameter.data = weight
            parameter.grad = gradient


def views(row_D: Tensor, like: Sequence[nn.Parameter]) -> Iterator[Tensor]:
    """A flat row as tensors of the parameters' shapes, sharing its memory."""
    parts = row_D.split([parameter.numel() for parameter in like])
    return (part.view(parameter.shape) for part, parameter in zip(parts, like, strict=True))


def load_flat(model: nn.Module, w_D: Tensor) -> None:
    """Point the model's parameters at a flat vector."""
    parameters = list(model.parameters())
    for parameter, weight in zip(parameters, views(w_D, parameters), strict=True):
        parameter.data = weight


def flatten(model: nn.Module) -> Tensor:
    """The model's parameters as one vector, shape [D]."""
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
