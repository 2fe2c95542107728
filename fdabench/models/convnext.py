"""ConvNeXt-Large (Liu et al., 2022) with the head of the FDA paper, trained from scratch or from ImageNet weights.

The backbone is torchvision's, without stochastic depth, because the paper runs the backbone in inference mode. A layer
normalization is applied before the global average, as in Keras' ConvNeXt with `include_top=False`. The backbone reduces
an image of 32 x 32 to one pixel.

Differences from the paper:

- The paper feeds raw pixels and normalizes them in the model by the mean and deviation of ImageNet. fdabench's
  `cifar100` is normalized by its own mean and deviation.
- The paper uses the ImageNet weights of Keras, and fdabench those of torchvision.
- The paper trains only the head for the first 5 epochs. fdabench trains all layers from the beginning.
"""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fdabench.component_info import ComponentInfo
from fdabench.errors import WorkloadError
from fdabench.models.base import GlobalAverage, ModelSpec, Shape, glorot
from fdabench.models.dropout import Dropout
from fdabench.torchvision_compat import import_torchvision

HIDDEN = 512
"""Units of the hidden layer of the head."""
_NAMES = {"features": "features", "classifier.0": "norm"}
"""Names of modules in torchvision's model -> their names in the model of this file. Others are not loaded."""


def build(shape: Shape, classes: int) -> nn.Module:
    """Build the model without pretrained weights: [N, 3, H, W] to [N, classes].

    Args:
        shape: the shape of one input, (3, height, width).
        classes: the number of classes.
    """
    return replace_head(import_torchvision("models").convnext_large(weights=None, stochastic_depth_prob=0.0), classes)


def replace_head(net: Any, classes: int) -> nn.Module:
    """Replace the head of a torchvision ConvNeXt by that of the paper.

    Args:
        net: the torchvision model; its backbone is used without a copy.
        classes: the number of classes.

    Returns:
        The model, [N, 3, H, W] to [N, classes].
    """
    norm, _, last = net.classifier
    head = {
        "hidden": nn.Linear(last.in_features, HIDDEN),
        "relu": nn.ReLU(),
        "dropout": Dropout(0.5),
        "logits": nn.Linear(HIDDEN, classes),
    }
    for layer in head.values():
        glorot(layer)
    return nn.Sequential(OrderedDict({"features": net.features, "norm": norm, "pool": GlobalAverage(), **head}))


def pretrained_imagenet() -> Mapping[str, Tensor]:
    """Return the weights of the backbone that torchvision publishes, by parameter name.

    They are downloaded on first use.

    Raises:
        WorkloadError: the weights are not in torch's cache and cannot be downloaded.
    """
    weights = import_torchvision("models").ConvNeXt_Large_Weights.IMAGENET1K_V1
    try:
        state = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise WorkloadError(_how_to_get(Path(weights.url).name)) from error
    return {
        name.replace(source_name, own_name, 1): tensor
        for source_name, own_name in _NAMES.items()
        for name, tensor in state.items()
        if name.startswith(f"{source_name}.")
    }


def _how_to_get(file: str) -> str:
    return (
        "convnext-large-imagenet: its weights are not in torch's cache, and the download failed. To get them, either\n"
        "  run the suite once on a machine with network access: the first use downloads them (790 MB); or\n"
        f"  copy torchvision's file to {Path(torch.hub.get_dir()) / 'checkpoints' / file}.\n"
        "The model convnext-large needs no file: its initial weights are drawn from the seed."
    )


_DESCRIPTION = "ConvNeXt-Large, a head of 512; 197,068,580 parameters on cifar100"
CONVNEXT_LARGE = ModelSpec(
    build, (3, 32, 32), _DESCRIPTION, ComponentInfo(name="ConvNeXt-Large", references=("liu2022",))
)
CONVNEXT_LARGE_IMAGENET = ModelSpec(
    build,
    (3, 32, 32),
    f"{_DESCRIPTION}; begins from ImageNet's weights",
    ComponentInfo(name="ConvNeXt-Large (ImageNet)", references=("liu2022",)),
    pretrained=pretrained_imagenet,
)
