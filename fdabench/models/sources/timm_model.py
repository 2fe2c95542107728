"""Models of timm (pip install 'fdabench[timm]'), by the name that `timm.create_model` takes."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from fdabench.component_info import ComponentInfo
from fdabench.errors import WorkloadError, did_you_mean
from fdabench.models.base import Shape
from fdabench.models.sources.base import fit_to_engines, load_weights
from fdabench.shared_types import Task
from fdabench.torchvision_compat import import_torchvision


@dataclass(frozen=True)
class TimmModel:
    """A model of timm, by the name that `timm.create_model` takes.

    Args:
        name: the name of the model, such as `test_resnet`.
        weights: a safetensors file of initial weights; empty to draw all weights from the seed.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(name="timm")
    predicts: ClassVar[Task] = "classification"
    extra: ClassVar[str] = "fdabench[timm]"

    name: str
    weights: str = ""

    def build(self, shape: Shape, classes: int) -> nn.Module:
        """Build the model; arguments, shapes and errors as in `ModelSource.build`."""
        import_torchvision("models")  # timm imports torchvision, which may need the fallback of that function
        try:
            import timm
        except ImportError as error:
            raise WorkloadError("timm is not installed: pip install 'fdabench[timm]'") from error
        if not timm.is_model(self.name):
            raise WorkloadError(f'name: timm has no model "{self.name}"{did_you_mean(self.name, timm.list_models())}')
        model: nn.Module = timm.create_model(self.name, pretrained=False, num_classes=classes, in_chans=shape[0])
        fit_to_engines(model)
        if self.weights:
            load_weights(model, self.weights)
        return model
