"""The trainable parameters of a user's model as one float32 row, which strategies work on.

Shape suffixes: D = trainable parameters, B = floating-point buffers, 1 = the one worker of this process. The row has
the layout of `engine.flatten`, so that a sketch or a random direction has the same bits as in a simulation.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn

from fdabench.core.codec import Layout, TensorSlice
from fdabench.distributed.user_group import unwrap_model, wrapper_fault
from fdabench.engine.flatten import flatten, running_stats, unflatten
from fdabench.errors import UsageError

BufferRule = Literal["local", "averaged"]
"""`local`: buffers such as running means stay with their rank. `averaged`: they are averaged at every sync."""
_EXACT_IN_FLOAT32 = (torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class ModelRow:
    """Copies the trainable parameters of a model to a float32 row and back.

    Weights in bfloat16 or float16 are converted. A strategy keeps its anchor in float32, and what `write` rounds is
    part of the drift of the next round.

    Args:
        model: of the user. Parameters that do not require a gradient are left out.
    """

    model: nn.Module
    _views: list[Tensor] = field(default_factory=list, init=False, repr=False, compare=False)
    """Of the parameters, in the order of a row."""
    _parts: list[Tensor] = field(default_factory=list, init=False, repr=False, compare=False)
    """Views of the row with the same shapes."""
    _addresses: list[int] = field(default_factory=list, init=False, repr=False, compare=False)

    @cached_property
    def trained(self) -> list[tuple[str, nn.Parameter]]:
        """The trainable parameters with their names. A parameter that modules share occurs once."""
        return [(name, parameter) for name, parameter in self.model.named_parameters() if parameter.requires_grad]

    @cached_property
    def parameters(self) -> list[nn.Parameter]:
        return [parameter for _, parameter in self.trained]

    @cached_property
    def size(self) -> int:
        """D, the number of trainable parameters."""
        return sum(parameter.numel() for parameter in self.parameters)

    @property
    def device(self) -> torch.device:
        return self.parameters[0].device

    @cached_property
    def layout(self) -> Layout:
        """Where each tensor lies in the row."""
        slices, start = [], 0
        for name, tensor in self.trained:
            stored = tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor
            slices.append(TensorSlice(name, start, start + tensor.numel(), tuple(stored.shape)))
            start += tensor.numel()
        return tuple(slices)

    def read(self) -> Tensor:
        """A copy of the weights, shape [1, D]."""
        return self.current().clone()

    def current(self) -> Tensor:
        """The weights, shape [1, D], in memory that the next call overwrites.

        In a training loop this takes half the time of `read`, because the memory is already in the cache.
        """
        self._update_views()
        torch._foreach_copy_(self._parts, self._views)
        return self._row_1D

    def write(self, w_D: Tensor) -> None:
        """Assign weights, shape [D], to the parameters in place."""
        self._update_views()
        self._row_1D[0].copy_(w_D)
        torch._foreach_copy_(self._views, self._parts)

    def _update_views(self) -> None:
        # a view costs more than the copy of a small tensor, so the views are made once. A program may assign other
        # memory to `parameter.data`, as `Module.to` does; the views keep the old memory, so the addresses differ
        if self._addresses == (addresses := [parameter.data_ptr() for parameter in self.parameters]):
            return
        self._addresses[:], self._views[:] = addresses, [_channels_last(element) for element in self.parameters]
        rows = self._row_1D[0].split([parameter.numel() for parameter in self.parameters])
        self._parts[:] = [part.view(view.shape) for part, view in zip(rows, self._views, strict=True)]

    @cached_property
    def _row_1D(self) -> Tensor:
        return torch.empty(1, self.size, device=self.device)

    def read_gradients(self) -> Tensor:
        """A copy of the gradients, shape [1, D]; zeros where a parameter has none."""
        grads = [
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad for parameter in self.parameters
        ]
        return flatten(grads).float()[None]

    def write_gradients(self, g_D: Tensor) -> None:
        """Assign gradients, shape [D], to all parameters."""
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        _assign([parameter.grad for parameter in self.parameters if parameter.grad is not None], g_D)

    def read_buffers(self) -> Tensor:
        """A copy of the floating-point buffers, shape [1, B]."""
        return flatten(list(running_stats(self.model).values())).float()[None]

    def write_buffers(self, b_B: Tensor) -> None:
        """Assign buffers, shape [B]."""
        _assign(list(running_stats(self.model).values()), b_B)


def _channels_last(tensor: Tensor) -> Tensor:
    """A view of a tensor in the order of a row; flat, shape [n], if the memory has that order."""
    stored = tensor.detach().permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor.detach()
    return stored.view(-1) if stored.is_contiguous() else stored


def _assign(tensors: list[Tensor] | list[nn.Parameter], row: Tensor) -> None:
    for tensor, part in zip(tensors, unflatten(row, tensors), strict=True):
        tensor.detach().copy_(part)


def model_faults(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """One line for each reason why a strategy cannot synchronize this model and optimizer, each with its remedy."""
    if fault := wrapper_fault(model):
        return [fault]
    trained = ModelRow(unwrap_model(model)).trained
    if not trained:
        return ["model: no parameter requires a gradient, so there is nothing to synchronize"]
    faults = [
        f"model: {name} is {str(parameter.dtype).removeprefix('torch.')}; float32, bfloat16 and float16 are allowed, "
        "which the float32 anchor of a strategy holds exactly"
        for name, parameter in trained
        if parameter.dtype not in _EXACT_IN_FLOAT32
    ]
    if len(devices := sorted({str(parameter.device) for _, parameter in trained})) > 1:
        faults.append(f"model: its parameters are on {' and '.join(devices)}; a worker has one device")
    trained_ids = {id(parameter) for _, parameter in trained}
    stepped = {
        id(parameter) for group in optimizer.param_groups for parameter in group["params"] if parameter.requires_grad
    }
    if stepped - trained_ids:
        faults.append(
            f"optimizer: {len(stepped - trained_ids)} of its parameters are not in the model, so they would never be "
            "synchronized; pass the model that contains them"
        )
    if idle := [name for name, parameter in trained if id(parameter) not in stepped]:
        faults.append(
            f"model: the optimizer does not step {idle[0]}{f' and {len(idle) - 1} more' if len(idle) > 1 else ''}; set "
            "requires_grad_(False), or pass the optimizer that has all trainable parameters"
        )
    return faults


def check_model(model: nn.Module, optimizer: torch.optim.Optimizer) -> ModelRow:
    """The row of a model, after all checks.

    Raises:
        UsageError: names each fault and its remedy.
    """
    if faults := model_faults(model, optimizer):
        raise UsageError("\n".join(f"fdabench.sync: {fault}" for fault in faults))
    return ModelRow(unwrap_model(model))


def unwrap_optimizer(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The optimizer whose `step` changes the parameters: that within the wrappers of accelerate and Lightning.

    The wrappers have no hooks of their own, or call the optimizer's `step` only in some of their steps.
    """
    inner = getattr(optimizer, "optimizer", None)
    return unwrap_optimizer(inner) if isinstance(inner, torch.optim.Optimizer) else optimizer
