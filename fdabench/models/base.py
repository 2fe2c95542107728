"""The type of models, their initialization, and layers that several of them share."""

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
    """How to build a model."""

    build: Callable[[Shape, int], nn.Module]
    """Builds the model from the shape of one input and the number of classes."""
    input_shape: Shape | None
    """The shape of one input that the model accepts, [channels, height, width]; None if it accepts any."""
    description: str
    info: ComponentInfo = ComponentInfo()
    kernel_l2: float = 0.0
    """The coefficient of |w|^2 in the loss, for kernels of linear layers and convolutions only: w has 2 * kernel_l2 * w
    added to its gradient. Losses are reported without it."""
    pretrained: Callable[[], Mapping[str, Tensor]] | None = None
    """Returns pretrained weights by parameter name; raises WorkloadError if they are missing. Parameters that are not
    among them are initialized from the seed."""


class Flatten(nn.Module):
    """Flattens images pixel by pixel, which is their order in channels-last memory and in Keras."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class GlobalAverage(nn.Module):
    """The mean of each channel: [N, C, H, W] to [N, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def init_model(architecture: ModelSpec, shape: Shape, classes: int, seed: int) -> nn.Module:
    """Build a model with initial weights drawn from `seed`. The state of torch's global generator does not change.

    Raises:
        WorkloadError: its pretrained weights are missing.
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
    """The number of trainable parameters, computed on the meta device, which allocates no memory."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in architecture.build(shape, classes).parameters())


def he_normal(model: nn.Module) -> nn.Module:
    """Initialize kernels of convolutions as Keras' he_normal: a normal truncated at 2 sigma, of variance 2 / fan-in."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            # truncation reduces the standard deviation by this factor
            width = sqrt(2 / module.weight[0].numel()) / 0.87962566103423978
            # inverse transform sampling: rejection sampling takes 20 times as long
            numbers = module.weight.detach().uniform_(-erf(sqrt(2)), erf(sqrt(2))).erfinv_()
            numbers.mul_(sqrt(2) * width).clamp_(-2 * width, 2 * width)
    return model


def glorot(model: nn.Module) -> nn.Module:
    """Initialize kernels as Glorot-uniform and biases as zero: Keras' defaults, which the FDA paper uses."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model
