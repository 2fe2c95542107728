"""ConvNeXt-Large (Liu et al., 2022) with the FDA paper's head, from scratch or from ImageNet's weights.

The backbone is torchvision's, without stochastic depth: the paper runs it as in inference. A layer normalization stands
before the global average, as in Keras' backbone without its top; of a 32 x 32 image one pixel is left there.

What differs from the paper: it feeds raw pixels and normalizes them within the model by ImageNet's mean and deviation,
while fdabench's `cifar100` is normalized by its own before. Its ImageNet weights are Keras'. It first trains the head
alone, for 5 epochs; that is not done here.
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
_NAMES = {"features": "features", "classifier.0": "norm"}
"""Torchvision's names of what is kept of its model, and ours."""


def build(shape: Shape, classes: int) -> nn.Module:
    return replace_head(import_torchvision("models").convnext_large(weights=None, stochastic_depth_prob=0.0), classes)


def replace_head(net: Any, classes: int) -> nn.Module:
    """A torchvision ConvNeXt's backbone under the paper's head; [N, 3, H, W] to [N, classes]."""
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
    """The backbone's weights as torchvision publishes them, by our names; downloaded on first use.

    Raises:
        WorkloadError: they are not in torch's cache and cannot be downloaded.
    """
    weights = import_torchvision("models").ConvNeXt_Large_Weights.IMAGENET1K_V1
    try:
        state = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise WorkloadError(_how_to_get(Path(weights.url).name)) from error
    return {
        name.replace(theirs, ours, 1): tensor
        for theirs, ours in _NAMES.items()
        for name, tensor in state.items()
        if name.startswith(f"{theirs}.")
    }


def _how_to_get(file: str) -> str:
    return (
        "convnext-large-imagenet: its weights are not in torch's cache and cannot be downloaded from here. Two ways:\n"
        "  run once where there is a network: they are downloaded on first use (790 MB);\n"
        f"  copy torchvision's file to {Path(torch.hub.get_dir()) / 'checkpoints' / file};\n"
        "or take the model convnext-large, which begins from weights that the seed draws."
    )


_ABOUT = "ConvNeXt-Large, a head of 512; 197,068,580 parameters on cifar100"
CONVNEXT_LARGE = ModelSpec(build, (3, 32, 32), _ABOUT, ComponentInfo(name="ConvNeXt-Large", references=("liu2022",)))
CONVNEXT_LARGE_IMAGENET = ModelSpec(
    build,
    (3, 32, 32),
    f"{_ABOUT}; begins from ImageNet's weights",
    ComponentInfo(name="ConvNeXt-Large (ImageNet)", references=("liu2022",)),
    pretrained=pretrained_imagenet,
)
