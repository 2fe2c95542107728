"""A small convolutional network for CIFAR, without batch normalization, that a CPU can train."""

from torch import nn

from fdabench.component_info import ComponentInfo
from fdabench.models.base import Flatten, ModelSpec, Shape, glorot


def build(shape: Shape, classes: int) -> nn.Module:
    """Build the network: [N, C, H, W] to [N, classes].

    Args:
        shape: the shape of one input, (channels, height, width). Height and width must be at least 8, because three
            max-pools halve them.
        classes: the number of classes.
    """
    channels, height, width = shape
    layers = nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        Flatten(),
        nn.Linear(64 * (height // 8) * (width // 8), 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )
    return glorot(layers)


CNN = ModelSpec(
    build,
    (3, 32, 32),
    "three convolutions, no batch normalization; 89,834 parameters",
    ComponentInfo(name="CNN", references=("lecun1998",)),
)
