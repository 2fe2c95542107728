"""Defines `ModelSpec`, the functions that build and initialize a model, and layers that several models share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import erf, sqrt
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from fdabench.component_info import ComponentInfo
from fdabench.shared_types import Task

Shape = tuple[int, ...]
"""The shape of one input without the batch dimension: [channels, height, width] of an image, [T] of a sequence."""
FrozenBase: TypeAlias = Literal["preinstalled", "sent"]
"""Whether workers have the frozen parameters of a model before the run, or receive them once."""


@dataclass(frozen=True)
class ModelSpec:
    """How to build a model, and what `fdabench list models` prints about it."""

    build: Callable[[Shape, int], nn.Module]
    """Builds the model from the shape of one input and the number of classes or tokens."""
    input_shape: Shape | None
    """The shape of one input that the model accepts, [channels, height, width]; None if it accepts any of its task."""
    description: str
    """One line without a period, for `fdabench list models`."""
    info: ComponentInfo = ComponentInfo()
    """Display name and references."""
    kernel_l2: float = 0.0
    """The coefficient c of the L2 penalty c |w|^2, for the kernels of linear layers and convolutions only.

    The gradient of w gets the term 2 c w. Reported losses do not include the penalty.
    """
    pretrained: Callable[[], Mapping[str, Tensor]] | None = None
    """Returns pretrained weights by parameter name.

    Other parameters are initialized from the seed. It raises WorkloadError if the weights are missing.
    """
    task: Task = "classification"
    """What the model predicts; it can be trained on data sets of the same task."""
    frozen_base: FrozenBase | None = None
    """How workers get the parameters that are not trained; None if all are trained."""


class Flatten(nn.Module):
    """Flattens images pixel by pixel: [N, C, H, W] to [N, H W C].

    This is the order of numbers in channels-last memory and in Keras.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class GlobalAverage(nn.Module):
    """The mean of each channel: [N, C, H, W] to [N, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def init_model(architecture: ModelSpec, shape: Shape, classes: int, seed: int) -> nn.Module:
    """Build a model with initial weights drawn from `seed`. The state of torch's global generator does not change.

    Args:
        architecture: the model; its pretrained weights, if any, replace the drawn ones.
        shape: the shape of one input.
        classes: the number of outputs: classes, or tokens in the vocabulary.
        seed: the seed of the initial weights.

    Returns:
        The model, on the CPU, or on the device of an enclosing `torch.device` context.

    Raises:
        WorkloadError: the pretrained weights of the model are missing.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = architecture.build(shape, classes)
    if architecture.pretrained is not None:
        result = model.load_state_dict(architecture.pretrained(), strict=False)
        assert not result.unexpected_keys, result.unexpected_keys
    return model


@cache
def count_parameters(architecture: ModelSpec, shape: Shape, classes: int) -> int:
    """Return the number of trainable parameters. The model is built on the meta device, which allocates no memory.

    Args:
        architecture: the model.
        shape: the shape of one input.
        classes: the number of outputs.
    """
    with torch.device("meta"):
        parameters = architecture.build(shape, classes).parameters()
        return sum(parameter.numel() for parameter in parameters if parameter.requires_grad)


@cache
def count_frozen(architecture: ModelSpec, shape: Shape, classes: int) -> int:
    """Return the number of parameters that are not trained; arguments as in `count_parameters`."""
    with torch.device("meta"):
        parameters = architecture.build(shape, classes).parameters()
        return sum(parameter.numel() for parameter in parameters if not parameter.requires_grad)


def he_normal(model: nn.Module) -> nn.Module:
    """Initialize the kernels of convolutions as Keras' he_normal does, and return the model.

    The weights are drawn from a normal distribution that is truncated at 2 sigma and has the variance 2 / fan-in.

    Source: K. He et al., Delving Deep into Rectifiers, ICCV 2015.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            # truncation reduces the standard deviation by this factor
            std = sqrt(2 / module.weight[0].numel()) / 0.87962566103423978
            # inverse transform sampling: rejection sampling takes 20 times as long
            weight = module.weight.detach().uniform_(-erf(sqrt(2)), erf(sqrt(2))).erfinv_()
            weight.mul_(sqrt(2) * std).clamp_(-2 * std, 2 * std)
    return model


def glorot(model: nn.Module) -> nn.Module:
    """Initialize kernels as Glorot-uniform and biases as zero, and return the model.

    These are the defaults of Keras, with which the FDA paper trains.

    Source: X. Glorot and Y. Bengio, Understanding the Difficulty of Training Deep Feedforward Neural Networks, AISTATS
    2010.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model
