"""The interface of model sources, and what makes a model of another library fit the engines."""

import hashlib
import re
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from fdabench.component_info import ComponentInfo
from fdabench.errors import WorkloadError
from fdabench.models.base import ModelSpec, Shape
from fdabench.models.dropout import Dropout
from fdabench.shared_types import Task

RANDOM_LAYERS = ("StochasticDepth", "DropPath", "DropBlock2d", "PatchDropout")
"""Layers of other libraries that draw random numbers in training from torch's global generator."""


@runtime_checkable
class ModelSource(Protocol):
    """A frozen dataclass whose fields are the keys of the table `model` of a workload.

    Nothing is downloaded, and files of weights contain tensors only (safetensors).
    """

    info: ClassVar[ComponentInfo]
    extra: ClassVar[str]
    """What pip installs the library with, such as `fdabench[timm]`; empty if fdabench requires it anyway."""

    @property
    def name(self) -> str:
        """The name of the model in its library."""

    @property
    def weights(self) -> str:
        """The file that the model begins from; empty if the seed draws all weights."""

    @property
    def predicts(self) -> Task:
        """What the model predicts."""

    def build(self, shape: Shape, classes: int) -> nn.Module:
        """Build the model: [N, *shape] to [N, classes], or to [N, T, classes] for each token of a sequence.

        Raises:
            WorkloadError: the library is not installed or has no such model, or the weights do not fit.
        """


def open_model(source: ModelSource, kind: str) -> tuple[str, ModelSpec]:
    """The name of a model in configurations of cells, and its specification.

    The name has the kind, the name in the library, and the first 8 hex digits of SHA-256 of the file of weights. So
    cells that begin from other weights are other cells, and the path of the file does not matter.

    Args:
        source: the library with the keys of the table.
        kind: the kind of the table.

    Raises:
        WorkloadError: the file of weights cannot be read.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{kind}-{source.name}")
    description = f"{source.name} of {kind}"
    if source.weights:
        try:
            with Path(source.weights).open("rb") as stream:
                name += f"-{hashlib.file_digest(stream, 'sha256').hexdigest()[:8]}"
        except OSError as error:
            raise WorkloadError(f"weights: {source.weights}: cannot be read: {error.strerror}") from error
        description += f", begins from {Path(source.weights).name}"
    info = ComponentInfo(name=f"{source.name} ({kind})")
    return name, ModelSpec(source.build, None, description, info, task=source.predicts)


class ZeroDropout(Dropout):
    """Dropout with the probability 0, which also has it by torch's name `p`.

    The attention of timm passes `attn_drop.p` to scaled_dot_product_attention, which draws masks of its own. That is
    reproducible for 0 only, so `Dropout` has no `p`.
    """

    p = 0.0


def fit_to_engines(model: nn.Module) -> nn.Module:
    """Replace each `torch.nn.Dropout` by fdabench's, whose masks depend on the worker and the step only.

    Returns:
        The model, changed in place.

    Raises:
        WorkloadError: another layer draws random numbers in training, which no engine could reproduce.
    """
    random = sorted({type(module).__name__ for module in model.modules()} & set(RANDOM_LAYERS))
    if random:
        raise WorkloadError(
            f"it has layers that draw random numbers in training ({', '.join(random)}), which fdabench cannot "
            "reproduce on every engine; take a model without them"
        )
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p) if child.p else ZeroDropout(0.0))
    return model


def load_weights(model: nn.Module, path: str) -> None:
    """Load the tensors of a safetensors file that have the name and the shape of a tensor of the model.

    Others, such as a head for another number of classes, keep the weights that the seed drew. On the meta device
    nothing is loaded.

    Raises:
        WorkloadError: the file cannot be read, or no tensor of it fits.
    """
    own = model.state_dict()
    if any(tensor.is_meta for tensor in own.values()):
        return
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise WorkloadError("weights need the package safetensors: pip install 'fdabench[timm]'") from error
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WorkloadError(f"weights: {path}: it is no safetensors file, or cannot be read: {error!s:.120}") from error
    fitting = {name: x for name, x in tensors.items() if name in own and own[name].shape == x.shape}
    if not fitting:
        message = f"none of its {len(tensors)} tensors has the name and the shape of one of the model"
        raise WorkloadError(f"weights: {path}: {message}")
    model.load_state_dict(fitting, strict=False)


class GrayAsColor(nn.Module):
    """Repeats the channel of gray images three times for a model of color images."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x.expand(-1, 3, -1, -1))
        return out
