"""The interface of model sources, and functions that adapt a model of another library to the engines."""

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
"""Classes of layers in other libraries that draw from torch's global generator in training."""


@runtime_checkable
class ModelSource(Protocol):
    """A frozen dataclass whose fields are the keys of the table `model` of a workload.

    Nothing is downloaded, and files of weights contain tensors only (safetensors).
    """

    info: ClassVar[ComponentInfo]
    extra: ClassVar[str]
    """The argument of `pip install` for the library, such as `fdabench[timm]`; empty if fdabench requires it anyway."""

    @property
    def name(self) -> str:
        """The name of the model in its library."""

    @property
    def weights(self) -> str:
        """The file of the initial weights; empty if all weights are drawn from the seed."""

    @property
    def predicts(self) -> Task:
        """What the model predicts."""

    def build(self, shape: Shape, classes: int) -> nn.Module:
        """Build the model: [N, *shape] to [N, classes], or to [N, T, classes] for each token of a sequence.

        Args:
            shape: the shape of one input.
            classes: the number of classes, or of tokens in the vocabulary.

        Raises:
            WorkloadError: the library is not installed or has no such model, or the weights do not fit.
        """


def open_model(source: ModelSource, kind: str) -> tuple[str, ModelSpec]:
    """Return the name and the specification of a model of another library.

    The name, which configurations of cells contain, has the kind, the name in the library, and the first 8 hex digits
    of the SHA-256 of the file of weights. So cells with other initial weights have another id, and the path of the file
    does not matter.

    Args:
        source: the library with the keys of the table `model`.
        kind: the kind of that table.

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
    """Dropout with probability 0, which also has torch's attribute `p`.

    The attention of timm passes `attn_drop.p` to scaled_dot_product_attention, which draws its own masks. Its result is
    reproducible for p = 0 only, so `Dropout` has no attribute `p`.
    """

    p = 0.0


def fit_to_engines(model: nn.Module) -> nn.Module:
    """Replace each `torch.nn.Dropout` by fdabench's, whose masks do not depend on the engine.

    Args:
        model: the model, changed in place.

    Returns:
        `model`.

    Raises:
        WorkloadError: another layer draws random numbers in training, so engines would give different results.
    """
    random_layers = sorted({type(module).__name__ for module in model.modules()} & set(RANDOM_LAYERS))
    if random_layers:
        raise WorkloadError(
            f"it has layers that draw random numbers in training ({', '.join(random_layers)}), which fdabench cannot "
            "reproduce on every engine; use a model without them"
        )
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p) if child.p else ZeroDropout(0.0))
    return model


def load_weights(model: nn.Module, path: str) -> None:
    """Load the tensors of a safetensors file that have the name and the shape of a tensor of the model.

    Other tensors of the model, such as a head for another number of classes, keep the weights drawn from the seed.

    Args:
        model: the model, changed in place. On the meta device nothing is loaded.
        path: the file.

    Raises:
        WorkloadError: the file cannot be read, or none of its tensors has the name and the shape of one of the model.
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
        raise WorkloadError(
            f"weights: {path}: it is not a safetensors file, or cannot be read: {error!s:.120}"
        ) from error
    loadable = {name: x for name, x in tensors.items() if name in own and own[name].shape == x.shape}
    if not loadable:
        message = f"none of its {len(tensors)} tensors has the name and the shape of one of the model"
        raise WorkloadError(f"weights: {path}: {message}")
    model.load_state_dict(loadable, strict=False)


class GrayAsColor(nn.Module):
    """Applies a model of color images to gray ones, [N, 1, H, W], by repeating their channel three times."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x.expand(-1, 3, -1, -1))
        return out
