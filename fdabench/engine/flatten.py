"""Conversion between the tensors of a model and one flat row. Shape suffixes: D = parameters, B = statistics.

Convolution kernels are stored with the channels last, which is the fastest layout on CPUs and tensor cores. Statistics
are the running means and variances of batch normalization.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from fdabench.core.codec import Layout, TensorSlice


def unflatten(row: Tensor, like: Sequence[Tensor]) -> Iterator[Tensor]:
    """Views of a flat row, with the shapes of the tensors in `like`."""
    parts = row.split([tensor.numel() for tensor in like])
    return (_reshape(part, tensor.shape) for part, tensor in zip(parts, like, strict=True))


def _reshape(part: Tensor, shape: torch.Size) -> Tensor:
    if len(shape) != 4:
        return part.view(shape)
    outputs, inputs, height, width = shape
    return part.view(outputs, height, width, inputs).permute(0, 3, 1, 2)


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """The inverse of `unflatten`: one row, which shares no memory with the tensors."""
    if not tensors:
        return torch.empty(0)
    channels_last = (x.permute(0, 2, 3, 1) if x.dim() == 4 else x for x in tensors)
    return torch.cat([x.detach().flatten() for x in channels_last])


def row_layout(model: nn.Module) -> Layout:
    """Where each trainable parameter tensor lies in a flat row, and its shape there."""
    slices, start = [], 0
    for name, tensor in named_trainable(model):
        stored = tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor
        slices.append(TensorSlice(name, start, start + tensor.numel(), tuple(stored.shape)))
        start += tensor.numel()
    return tuple(slices)


def named_trainable(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The parameters in a flat row, with their names. Frozen parameters stay in the model, once for all workers."""
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def parameters(model: nn.Module) -> list[nn.Parameter]:
    """The trainable parameters of a model, in the order of a flat row."""
    return [parameter for _, parameter in named_trainable(model)]


def frozen_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of a model that are not trained."""
    return [parameter for parameter in model.parameters() if not parameter.requires_grad]


def kernel_mask(model: nn.Module, value: float) -> Tensor:
    """A flat row, shape [D]: `value` at kernels of linear layers and convolutions, and zero elsewhere."""
    layers = (module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d))
    kernels = {id(layer.weight) for layer in layers}
    return torch.cat([torch.full_like(w.detach(), value * (id(w) in kernels)).flatten() for w in parameters(model)])


def running_stats(model: nn.Module) -> dict[str, Tensor]:
    """The floating-point buffers of a model by name; batch counters and dropout keys are integers and left out."""
    return {name: buffer for name, buffer in model.named_buffers() if buffer.is_floating_point()}


def bind_parameters(model: nn.Module, w_D: Tensor, b_B: Tensor) -> None:
    """Make the parameters and running statistics of the model views of two flat rows."""
    for tensors, row in ((parameters(model), w_D), (list(running_stats(model).values()), b_B)):
        for tensor, view in zip(tensors, unflatten(row, tensors), strict=True):
            tensor.data = view
