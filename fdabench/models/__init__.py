"""Models. A new one joins by a line here."""

from collections.abc import Mapping

from fdabench.models.base import Architecture
from fdabench.models.cnn import CNN
from fdabench.models.lenet5 import LENET5
from fdabench.models.mlp import MLP
from fdabench.models.vgg16star import VGG16STAR

MODELS: Mapping[str, Architecture] = {"mlp": MLP, "lenet5": LENET5, "vgg16star": VGG16STAR, "cnn": CNN}
