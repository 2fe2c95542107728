"""Checks that the model of a plug-in can be applied to the images of a data set. `registry.compatibility` calls it."""

import torch
from torch import Tensor, nn

from fdabench.models.base import ModelSpec, Shape, init_model

BATCH = 2
"""Images in the batch of the check."""


def shape_error(architecture: ModelSpec, shape: Shape, classes: int) -> str:
    """Apply a model to a batch of zeros, on torch's meta device if possible, which computes no values.

    A model with an operation that has no meta kernel is run on the CPU.

    Args:
        architecture: the model.
        shape: the shape of one image.
        classes: the number of outputs that the model must have for each image.

    Returns:
        What is wrong with the model; empty if nothing is.

    Raises:
        Exception: whatever `build` or `forward` of the model raises.
    """
    with torch.device("meta"):
        model = architecture.build(shape, classes)
        if not isinstance(model, nn.Module):
            return f"build must return a torch.nn.Module; it returned {type(model).__name__}"
        if not any(parameter.requires_grad for parameter in model.parameters()):
            return "it has no trainable parameters"
        x = torch.zeros(BATCH, *shape)
        try:
            return _output_error(model, x, classes)
        except Exception:
            pass  # an operation may have no meta kernel; an error of the model itself is raised again on the CPU
    return _output_error(init_model(architecture, shape, classes, 0), torch.zeros(BATCH, *shape), classes)


def value_error(architecture: ModelSpec, x: Tensor, classes: int, seed: int) -> str:
    """Apply a model with initial weights to the first images of a data set.

    Args:
        architecture: the model.
        x: images, shape [N, C, H, W].
        classes: the number of outputs that the model must have for each image.
        seed: the seed of the initial weights.

    Returns:
        What is wrong with the output, for example that it is not finite; empty if nothing is.
    """
    images = x[:BATCH].cpu().clone()
    return _output_error(init_model(architecture, tuple(images.shape[1:]), classes, seed), images, classes)


def _output_error(model: nn.Module, x: Tensor, classes: int) -> str:
    model.eval()
    with torch.no_grad():
        before = x._version
        logits: object = model(x)
    wanted = f"must be a float32 tensor of shape [N, classes], here {[len(x), classes]}"
    if not isinstance(logits, Tensor):
        return f"its output {wanted}; it is a {type(logits).__name__}"
    if tuple(logits.shape) != (len(x), classes) or not logits.is_floating_point():
        return f"its output {wanted}; it is {list(logits.shape)} {str(logits.dtype).removeprefix('torch.')}"
    if x._version != before:
        return "forward changes its input in place; it must leave the images as they are"
    if not logits.is_meta and not logits.isfinite().all():
        return "its output is not finite with the initial weights"
    return ""
