"""Estimates the memory of activations: the tensors that autograd saves in a forward pass for the backward pass."""

from functools import cache

import torch
from torch import Tensor

from fdabench.engine.loss import cross_entropy
from fdabench.errors import FdabenchError
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.models.base import ModelSpec, Shape
from fdabench.planning.memory import simulation_bytes

ALLOCATED_PER_SAVED = 1.5
"""Bytes that a step allocates for each byte of the tensors that autograd saves.

The rest are outputs of layers that no gradient needs, gradients of activations, and freed memory that the allocator
keeps. The factor was measured with GPTs and LeNet-5 at two batch sizes; tests/planning/test_memory.py compares
estimates with measured peaks. The convolutions of LeNet-5 needed 2.0 to 2.8 with oneDNN and 3.8 without it, because a
convolution needs a workspace.
"""


def peak_bytes(cell: ResolvedCell) -> int | None:
    """Estimate the peak memory of a process that trains a cell with the sequential engine, without the data set.

    It has the activations of one worker only, because workers compute their gradients one after the other.

    Returns:
        The bytes, or None if an operation of the model has no meta kernel.
    """
    saved = saved_bytes(cell.model, cell.dataset.shape, cell.dataset.classes, cell.config.batch_size)
    return None if saved is None else simulation_bytes(cell) + int(ALLOCATED_PER_SAVED * saved)


@cache
def saved_bytes(model: ModelSpec, shape: Shape, classes: int, batch_size: int) -> int | None:
    """Return the bytes of the tensors that autograd saves in a forward pass and the loss, without the parameters.

    They are counted on torch's meta device, which allocates no memory. A tensor that is saved twice counts once.

    Args:
        model: the model.
        shape: the shape of one input.
        classes: the number of outputs for each sample or token.
        batch_size: the number of samples.

    Returns:
        The bytes, or None if an operation of the model has no meta kernel.
    """
    text = model.task == "next-token"
    saved: dict[int, Tensor] = {}

    def keep(x: Tensor) -> Tensor:
        saved[x.untyped_storage()._cdata] = x  # by storage: tensors on the meta device have no addresses
        return x

    try:
        with torch.device("meta"):
            module = model.build(shape, classes)
            inputs = torch.zeros(batch_size, *shape, dtype=torch.int64 if text else torch.float32)
            targets = torch.zeros(inputs.shape if text else batch_size, dtype=torch.int64)
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
                _ = cross_entropy(module(inputs), targets)
    except FdabenchError:
        raise
    except Exception:  # models of plug-ins and libraries raise errors of any class
        return None
    for parameter in module.parameters():
        saved.pop(parameter.untyped_storage()._cdata, None)
    return sum(x.untyped_storage().nbytes() for x in saved.values())
