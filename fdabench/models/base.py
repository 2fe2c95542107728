"""What a model is: a function of an input shape and a number of classes. Shape suffix: D = parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import erf, sqrt

import torch
from torch import Tensor, nn

from fdabench.component_info import ComponentInfo

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ModelSpec:
    """How to build a model, and which images it takes (None: any)."""

    build: Callable[[Shape, int], nn.Module]
    input_shape: Shape | None
    description: str
    info: ComponentInfo = ComponentInfo()
    kernel_l2: float = 0.0
    """The coefficient of |w|^2 in the loss, for kernels of linear layers and convolutions only: w has 2 * kernel_l2 * w
    added to its gradient. Losses are reported without it."""
    pretrained: Callable[[], Mapping[str, Tensor]] | None = None
    """Weights to begin from by name, or WorkloadError where there are none; those that it does not name are drawn."""


class Flatten(nn.Module):
    """Images to vectors, pixel by pixel: as they lie in memory with the channels last, and as Keras orders them."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class GlobalAverage(nn.Module):
    """The mean of each channel: [N, C, H, W] to [N, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def init_model(architecture: ModelSpec, shape: Shape, classes: int, seed: int) -> nn.Module:
    """The model with initial weights drawn from `seed`; the global generator is left as it was.

    Raises:
        WorkloadError: its pretrained weights are not there.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = architecture.build(shape, classes)
    if architecture.pretrained is not None:
        found = model.load_state_dict(architecture.pretrained(), strict=False)
        assert not found.unexpected_keys, found.unexpected_keys
    return model


@cache
def count_parameters(architecture: ModelSpec, shape: Shape, classes: int) -> int:
    """Trainable parameters, without allocating any."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in architecture.build(shape, classes).parameters())


def he_normal(model: nn.Module) -> nn.Module:
    """Kernels of convolutions from a normal law cut off at twice its width, of variance 2 / fan-in, as Keras has it."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            # cutting off the tails leaves this part of the standard deviation
            width = sqrt(2 / module.weight[0].numel()) / 0.87962566103423978
            # by the inverse of the distribution: drawing until all are within takes 20 times as long
            numbers = module.weight.detach().uniform_(-erf(sqrt(2)), erf(sqrt(2))).erfinv_()
            numbers.mul_(sqrt(2) * width).clamp_(-2 * width, 2 * width)
    return model


def glorot(model: nn.Module) -> nn.Module:
    """Glorot-uniform kernels and zero biases: Keras' defaults, from which the paper's models were trained."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model
