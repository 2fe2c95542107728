"""Checks that the model of a plug-in accepts the inputs of a data set. `registry.compatibility` calls the checks."""

import logging

import torch
from torch import Tensor, nn

from fdabench.models.base import ModelSpec, Shape, init_model

logger = logging.getLogger(__name__)

BATCH = 2
"""The number of inputs in the batch of a check."""


def shape_error(architecture: ModelSpec, shape: Shape, classes: int) -> str:
    """Apply a model to a batch of zeros, on torch's meta device if possible, which computes no values.

    A model with an operation that has no meta kernel is run on the CPU.

    Args:
        architecture: the model.
        shape: the shape of one input.
        classes: the number of outputs that the model must have for each image, or for each token of a sequence.

    Returns:
        The fault of the model; empty if there is none.

    Raises:
        Exception: an exception of any class that `build` or `forward` of the model raises.
    """
    with torch.device("meta"):
        model = architecture.build(shape, classes)
        if not isinstance(model, nn.Module):
            return f"build must return a torch.nn.Module; it returned {type(model).__name__}"
        if not any(parameter.requires_grad for parameter in model.parameters()):
            return "it has no trainable parameters"
        x = _zeros(architecture, shape)
        try:
            return _output_error(model, x, classes)
        except Exception as error:
            # an operation may have no meta kernel; an error of the model itself is raised again on the CPU
            logger.debug("the model cannot be applied on the meta device, so it is applied on the CPU: %s", error)
    return _output_error(init_model(architecture, shape, classes, 0), _zeros(architecture, shape), classes)


def _zeros(architecture: ModelSpec, shape: Shape) -> Tensor:
    return torch.zeros(BATCH, *shape, dtype=torch.int64 if architecture.task == "next-token" else torch.float32)


def value_error(architecture: ModelSpec, x: Tensor, classes: int, seed: int) -> str:
    """Apply a model with initial weights to the first inputs of a data set.

    Args:
        architecture: the model.
        x: images, shape [N, C, H, W], or sequences of tokens, shape [N, T].
        classes: the number of outputs that the model must have for each image or token.
        seed: the seed of the initial weights.

    Returns:
        The fault of the output, for example that it is not finite; empty if there is none.
    """
    batch = x[:BATCH].cpu().clone()  # a copy, because a faulty forward may write to its input
    return _output_error(init_model(architecture, tuple(batch.shape[1:]), classes, seed), batch, classes)


def _output_error(model: nn.Module, x: Tensor, classes: int) -> str:
    model.eval()
    with torch.no_grad():
        version = x._version  # torch increments it at each write in place
        logits: object = model(x)
    sequence = [] if x.is_floating_point() else [x.shape[1]]
    shape, axes = [len(x), *sequence, classes], "[N, T, classes]" if sequence else "[N, classes]"
    expectation = f"must be a float32 tensor of shape {axes}, here {shape}"
    if not isinstance(logits, Tensor):
        return f"its output {expectation}; it is a {type(logits).__name__}"
    if list(logits.shape) != shape or not logits.is_floating_point():
        return f"its output {expectation}; it is {list(logits.shape)} {str(logits.dtype).removeprefix('torch.')}"
    if x._version != version:
        return "forward changes its input in place; it must leave the images as they are"
    if not logits.is_meta and not logits.isfinite().all():
        return "its output is not finite with the initial weights"
    return ""
