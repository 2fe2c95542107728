"""VGG16* of the FDA paper: VGG16 (Simonyan and Zisserman, 2015) without its two widest blocks, for 28 x 28 images."""

from torch import nn

from fdabench.component_info import ComponentInfo
from fdabench.models.base import Flatten, ModelSpec, Shape, glorot
from fdabench.models.dropout import Dropout


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    """Return two convolutions that convert `inputs` to `outputs` channels, and a max-pool."""
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    ]


def build(shape: Shape, classes: int) -> nn.Module:
    """Build the network: [N, C, H, W] to [N, classes].

    Args:
        shape: the shape of one input, (channels, height, width). Height and width must be at least 8, because three
            max-pools halve them.
        classes: the number of classes.
    """
    channels, height, width = shape
    layers = nn.Sequential(
        *_block(channels, 64),
        *_block(64, 128),
        *_block(128, 256),
        Flatten(),
        nn.Linear(256 * (height // 8) * (width // 8), 512),
        nn.ReLU(),
        Dropout(0.5),
        nn.Linear(512, 512),
        nn.ReLU(),
        Dropout(0.5),
        nn.Linear(512, classes),
    )
    return glorot(layers)


VGG16STAR = ModelSpec(
    build,
    (1, 28, 28),
    "three blocks of two convolutions, dropout; 2,592,202 parameters",
    ComponentInfo(name="VGG16*", references=("simonyan2015",)),
)
