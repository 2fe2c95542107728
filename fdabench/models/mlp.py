"""A multilayer perceptron for small images: two hidden layers with ReLU."""

from math import prod

from torch import nn

from fdabench.component_info import ComponentInfo
from fdabench.models.base import ModelSpec, Shape, glorot


def build(shape: Shape, classes: int) -> nn.Module:
    """Build the network: [N, *shape] to [N, classes].

    Args:
        shape: the shape of one input.
        classes: the number of classes.
    """
    layers = nn.Sequential(
        nn.Flatten(),
        nn.Linear(prod(shape), 192),
        nn.ReLU(),
        nn.Linear(192, 192),
        nn.ReLU(),
        nn.Linear(192, classes),
    )
    return glorot(layers)


MLP = ModelSpec(
    build,
    None,
    "two hidden layers of 192, ReLU; 51,466 parameters on digits",
    ComponentInfo(name="MLP", references=("rumelhart1986",)),
)
