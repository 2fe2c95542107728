"""What a model is: a function of an input shape and a number of classes. Shape suffix: D = parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Architecture:
    """How to build a model, and which images it takes (None: any)."""

    build: Callable[[Shape, int], nn.Module]
    takes: Shape | None
    about: str
    reference: str


class Flatten(nn.Module):
    """Images to vectors, pixel by pixel: as they lie in memory with the channels last, and as Keras orders them."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def initialised(architecture: Architecture, shape: Shape, classes: int, seed: int) -> nn.Module:
    """The model with initial weights drawn from `seed`; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return architecture.build(shape, classes)


@cache
def count_parameters(architecture: Architecture, shape: Shape, classes: int) -> int:
    """Trainable parameters, without allocating any."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in architecture.build(shape, classes).parameters())


def glorot(model: nn.Module) -> nn.Module:
    """Glorot-uniform kernels and zero biases: Keras' defaults, from which the paper's models were trained."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model
