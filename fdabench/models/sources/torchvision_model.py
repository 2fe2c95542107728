"""Models of torchvision, by the name that `torchvision.models.get_model` takes."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from fdabench.component_info import ComponentInfo
from fdabench.errors import WorkloadError, did_you_mean
from fdabench.models.base import Shape
from fdabench.models.sources.base import GrayAsColor, fit_to_engines, load_weights
from fdabench.shared_types import Task
from fdabench.torchvision_compat import import_torchvision


@dataclass(frozen=True)
class TorchvisionModel:
    """A classifier of torchvision. The channel of gray images is repeated three times.

    Args:
        name: the name of the model, such as `resnet18`.
        weights: a safetensors file of initial weights; empty to draw all weights from the seed.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(name="torchvision")
    predicts: ClassVar[Task] = "classification"
    extra: ClassVar[str] = ""

    name: str
    weights: str = ""

    def build(self, shape: Shape, classes: int) -> nn.Module:
        """Build the model; arguments, shapes and errors as in `ModelSource.build`."""
        models = import_torchvision("models")
        if self.name not in (names := models.list_models(module=models)):
            raise WorkloadError(f'name: torchvision has no classifier "{self.name}"{did_you_mean(self.name, names)}')
        if shape[0] not in (1, 3):
            raise WorkloadError(f"it takes images with 1 or 3 channels; these have {shape[0]}")
        model = fit_to_engines(models.get_model(self.name, weights=None, num_classes=classes))
        if self.weights:
            load_weights(model, self.weights)
        return GrayAsColor(model) if shape[0] == 1 else model
