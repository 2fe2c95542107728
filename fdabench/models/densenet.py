"""DenseNet-121 and -201 (Huang et al., 2017) as the FDA paper has them: ImageNet's topology on 32 x 32 images.

The stem (a 7 x 7 convolution and a max-pool, both of stride 2) leaves 8 x 8 to the first dense block and one pixel to
the last. Regularized with dropout of 0.2 after each convolution of a dense block and 1e-4 |w|^2 on kernels. The paper
normalizes CIFAR-10 by ImageNet's mean and deviation, fdabench's `cifar10` by its own.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from fdabench.component_info import ComponentInfo
from fdabench.models.base import GlobalAverage, ModelSpec, Shape, glorot, he_normal
from fdabench.models.dropout import Dropout

BOTTLENECK = 4
DROPOUT = 0.2


class _Dense(nn.Module):
    """x and `growth` channels computed from it: [N, C, H, W] to [N, C + growth, H, W]."""

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
    # Keras says which part of the running statistics stays, torch which part is new
    return nn.BatchNorm2d(channels, eps=1.001e-5, momentum=1 - 0.99), nn.ReLU()


def _stem(inputs: int, channels: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, channels, 7, stride=2, padding=3, bias=False)
    return [convolution, *_normalized(channels), nn.MaxPool2d(3, stride=2, padding=1)]


def _transition(channels: int) -> list[nn.Module]:
    """Half of the channels, half of the height and width."""
    return [*_normalized(channels), nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]


def build(growth: int, blocks: Sequence[int], shape: Shape, classes: int) -> nn.Module:
    """A DenseNet with so many layers in each block, each adding `growth` channels; [N, C, H, W] to [N, classes]."""
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


def _architecture(name: str, blocks: Sequence[int], about: str) -> ModelSpec:
    info = ComponentInfo(name=name, references=("huang2017",))
    return ModelSpec(partial(build, 32, blocks), (3, 32, 32), about, info, kernel_l2=1e-4)


DENSENET121 = _architecture(
    "DenseNet-121", (6, 12, 24, 16), "58 dense layers, batch normalization, dropout; 6,964,106 parameters"
)
DENSENET201 = _architecture(
    "DenseNet-201", (6, 12, 48, 32), "98 dense layers, batch normalization, dropout; 18,112,138 parameters"
)
