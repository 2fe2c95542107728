"""The built-in models. To add one, write a module with a `ModelSpec` and add a line to `MODELS`."""

from collections.abc import Mapping

from fdabench.models.base import ModelSpec
from fdabench.models.cnn import CNN
from fdabench.models.convnext import CONVNEXT_LARGE, CONVNEXT_LARGE_IMAGENET
from fdabench.models.densenet import DENSENET121, DENSENET201
from fdabench.models.gpt import GPT_MICRO, GPT_MINI, GPT_NANO
from fdabench.models.lenet5 import LENET5
from fdabench.models.mlp import MLP
from fdabench.models.vgg16star import VGG16STAR

MODELS: Mapping[str, ModelSpec] = {
    "mlp": MLP,
    "lenet5": LENET5,
    "vgg16star": VGG16STAR,
    "cnn": CNN,
    "densenet121": DENSENET121,
    "densenet201": DENSENET201,
    "convnext-large": CONVNEXT_LARGE,
    "convnext-large-imagenet": CONVNEXT_LARGE_IMAGENET,
    "gpt-nano": GPT_NANO,
    "gpt-micro": GPT_MICRO,
    "gpt-mini": GPT_MINI,
}
