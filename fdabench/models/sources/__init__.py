"""The libraries whose models a suite can use, by the `kind` of the table `model` of a workload.

To add a library, write a frozen dataclass that implements `ModelSource` and add a line to `SOURCES`.
"""

from collections.abc import Mapping

from fdabench.models.sources.base import ModelSource
from fdabench.models.sources.hf_model import HfModel
from fdabench.models.sources.timm_model import TimmModel
from fdabench.models.sources.torchvision_model import TorchvisionModel

SOURCES: Mapping[str, type[ModelSource]] = {
    "torchvision": TorchvisionModel,
    "timm": TimmModel,
    "hf": HfModel,
}
