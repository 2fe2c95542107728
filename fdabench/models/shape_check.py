"""A forward pass to see whether a model fits a data set: on torch's meta device, where nothing is computed."""

from typing import Any

import torch
from torch import Tensor, nn

from fdabench.models.base import ModelSpec, Shape, init_model

BATCH = 2


def shape_error(architecture: ModelSpec, shape: Shape, classes: int) -> str:
    """What keeps the model from giving `classes` numbers for each image of this shape; empty if nothing.

    A model that cannot be run on the meta device is run on the CPU. What `build` or `forward` raises comes through.
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
            pass  # not every operation has a meta kernel; what the model itself does wrong is raised on the CPU again
    return _output_error(init_model(architecture, shape, classes, 0), torch.zeros(BATCH, *shape), classes)


def value_error(architecture: ModelSpec, x: Tensor, classes: int, seed: int) -> str:
    """What is wrong with the output of the model, with the initial weights of this seed, for the first images of `x`,
    shape [N, C, H, W]; empty if nothing.
    """
    images = x[:BATCH].cpu().clone()
    return _output_error(init_model(architecture, tuple(images.shape[1:]), classes, seed), images, classes)


def _output_error(model: nn.Module, x: Tensor, classes: int) -> str:
    model.eval()
    with torch.no_grad():
        before = x._version
        logits: Any = model(x)
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
