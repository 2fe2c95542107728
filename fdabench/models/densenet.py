"""DenseNet-121 and DenseNet-201 (Huang et al., 2017) as in the FDA paper: the ImageNet topology for images of 32 x 32.

The stem is a 7 x 7 convolution and a max-pool, both of stride 2. It reduces 32 x 32 to 8 x 8 for the first dense block;
the last block has one pixel. Regularization is a dropout of 0.2 after each convolution of a dense block, and a penalty
of 1e-4 |w|^2 on kernels. The paper normalizes CIFAR-10 by the mean and deviation of ImageNet; fdabench's `cifar10` is
normalized by its own mean and deviation.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from fdabench.component_info import ComponentInfo
from fdabench.models.base import GlobalAverage, ModelSpec, Shape, glorot, he_normal
from fdabench.models.dropout import Dropout

BOTTLENECK = 4
"""The 1 x 1 convolution of a dense layer has this many times `growth` channels."""
DROPOUT = 0.2
"""The probability that a number is set to zero after each convolution of a dense block."""


class _Dense(nn.Module):
    """Appends `growth` channels, which two convolutions compute from x: [N, C, H, W] to [N, C + growth, H, W]."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_normalized(channels),
            nn.Conv2d(channels, BOTTLENECK * growth, 1, bias=False),
            Dropout(DROPOUT),
            *_normalized(BOTTLENECK * growth),
            nn.Conv2d(BOTTLENECK * growth, growth, 3, padding=1, bias=False),
            Dropout(DROPOUT),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layers(x)], 1)


def _normalized(channels: int) -> tuple[nn.Module, ...]:
    """Return batch normalization and ReLU."""
    # torch's momentum is the weight of the new statistics; Keras', here 0.99, is the weight of the old ones
    return nn.BatchNorm2d(channels, eps=1.001e-5, momentum=1 - 0.99), nn.ReLU()


def _stem(inputs: int, channels: int) -> list[nn.Module]:
    """Return the first layers, which convert `inputs` to `channels` channels."""
    convolution = nn.Conv2d(inputs, channels, 7, stride=2, padding=3, bias=False)
    return [convolution, *_normalized(channels), nn.MaxPool2d(3, stride=2, padding=1)]


def _transition(channels: int) -> list[nn.Module]:
    """Return layers that halve the number of channels, the height and the width."""
    return [*_normalized(channels), nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]


def build(growth: int, blocks: Sequence[int], shape: Shape, classes: int) -> nn.Module:
    """Build a DenseNet: [N, C, H, W] to [N, classes].

    Args:
        growth: channels that each dense layer appends.
        blocks: the number of dense layers in each block.
        shape: the shape of one input.
        classes: the number of classes.
    """
    channels = 2 * growth
    layers = _stem(shape[0], channels)
    for block, depth in enumerate(blocks):
        if block:
            layers += _transition(channels)
            channels //= 2
        layers += [_Dense(channels + growth * layer, growth) for layer in range(depth)]
        channels += growth * depth
    layers += [*_normalized(channels), GlobalAverage(), nn.Linear(channels, classes)]
    return he_normal(glorot(nn.Sequential(*layers)))


def _architecture(name: str, blocks: Sequence[int], description: str) -> ModelSpec:
    info = ComponentInfo(name=name, references=("huang2017",))
    return ModelSpec(partial(build, 32, blocks), (3, 32, 32), description, info, kernel_l2=1e-4)


DENSENET121 = _architecture(
    "DenseNet-121", (6, 12, 24, 16), "58 dense layers, batch normalization, dropout; 6,964,106 parameters"
)
DENSENET201 = _architecture(
    "DenseNet-201", (6, 12, 48, 32), "98 dense layers, batch normalization, dropout; 18,112,138 parameters"
)
