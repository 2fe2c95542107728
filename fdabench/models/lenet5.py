"""LeNet-5 (LeCun et al., 1998) as in the FDA paper: tanh, average pooling, Glorot-uniform kernels."""

from torch import nn

from fdabench.component_info import ComponentInfo
from fdabench.models.base import Flatten, ModelSpec, Shape, glorot


def build(shape: Shape, classes: int) -> nn.Module:
    """Build the network for images of 28 x 28: [N, C, 28, 28] to [N, classes].

    Args:
        shape: the shape of one input, (channels, 28, 28).
        classes: the number of classes.
    """
    layers = nn.Sequential(
        nn.Conv2d(shape[0], 6, 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        Flatten(),
        nn.Linear(400, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, classes),
    )
    return glorot(layers)


LENET5 = ModelSpec(
    build,
    (1, 28, 28),
    "two convolutions, tanh, average pooling; 61,706 parameters",
    ComponentInfo(name="LeNet-5", references=("lecun1998",)),
)
