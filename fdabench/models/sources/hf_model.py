"""Models of Hugging Face transformers (pip install 'fdabench[hf]'), from a folder with their configuration."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from fdabench.component_info import ComponentInfo
from fdabench.errors import WorkloadError
from fdabench.models.base import Shape
from fdabench.models.sources.base import fit_to_engines
from fdabench.shared_types import Task
from fdabench.torchvision_compat import import_torchvision

HfTask = Literal["image-classification", "text-classification", "text-generation"]
AUTO_CLASSES = {
    "image-classification": "AutoModelForImageClassification",
    "text-classification": "AutoModelForSequenceClassification",
    "text-generation": "AutoModelForCausalLM",
}


@dataclass(frozen=True)
class HfModel:
    """A model of transformers. Nothing is downloaded.

    All dropout probabilities of the configuration are set to zero, because the engines could not reproduce the masks.
    Attention is computed by matrix products and a softmax ("eager"), which both engines support.

    Args:
        path: a folder with `config.json`, and with `model.safetensors` if the model is pretrained. Without that file
            all weights are drawn from the seed.
        task: the task of the model. The head has one output for each class, or for each token of the data set.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(name="transformers")
    extra: ClassVar[str] = "fdabench[hf]"

    path: str
    task: HfTask

    @property
    def name(self) -> str:
        """The name of the folder, the task, and the first 8 hex digits of the SHA-256 of the configuration.

        Raises:
            WorkloadError: `config.json` cannot be read.
        """
        try:
            config = (Path(self.path) / "config.json").read_bytes()
        except OSError as error:
            raise WorkloadError(f"path: {self.path}: its config.json cannot be read: {error.strerror}") from error
        digest = hashlib.sha256(config).hexdigest()[:8]
        return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', Path(self.path).name)}-{self.task}-{digest}"

    @property
    def weights(self) -> str:
        """The file of weights in the folder; empty if there is none."""
        file = Path(self.path) / "model.safetensors"
        return file.as_posix() if file.is_file() else ""

    @property
    def predicts(self) -> Task:
        return "next-token" if self.task == "text-generation" else "classification"

    def build(self, shape: Shape, classes: int) -> nn.Module:
        """Build the model; arguments, shapes and errors as in `ModelSource.build`."""
        transformers = _import_transformers()
        auto_class = getattr(transformers, AUTO_CLASSES[self.task])
        try:
            config = transformers.AutoConfig.from_pretrained(self.path, local_files_only=True, trust_remote_code=False)
            _adapt(config, self.task, shape, classes)
            # the weights are not read on the meta device
            if self.weights and not torch.empty(0).is_meta:
                model = auto_class.from_pretrained(
                    self.path,
                    config=config,
                    local_files_only=True,
                    trust_remote_code=False,
                    use_safetensors=True,
                    ignore_mismatched_sizes=True,
                    dtype=torch.float32,
                    attn_implementation="eager",
                )
            else:
                model = auto_class.from_config(config, attn_implementation="eager", dtype=torch.float32)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise WorkloadError(
                f"path: {self.path}: transformers cannot build it for {self.task}: {reason:.200}"
            ) from error
        return fit_to_engines(Logits(_without_dropout(model)))


class NoDropout(nn.Identity):
    """A dropout layer of probability zero. Attention layers of transformers read its attribute `p`."""

    p = 0.0


class Logits(nn.Module):
    """Wraps a model of transformers so that it returns its logits as a tensor and not as an output object."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(x).logits
        return logits


def _without_dropout(model: nn.Module) -> nn.Module:
    """Replace each dropout layer in place; return the model."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout):
                setattr(module, name, NoDropout())
    return model


def _import_transformers() -> ModuleType:
    """Import transformers so that it neither uses the network nor prints."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import_torchvision("models")  # transformers imports torchvision, which may need the fallback of that function
    try:
        import transformers
    except ImportError as error:
        raise WorkloadError("transformers is not installed: pip install 'fdabench[hf]'") from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    module: ModuleType = transformers
    return module


def _adapt(config: Any, task: HfTask, shape: Shape, classes: int) -> None:
    """Set the sizes that depend on the data set, and disable dropout and the cache of keys and values."""
    for key, value in config.to_dict().items():
        if "drop" in key and isinstance(value, float):
            setattr(config, key, 0.0)
    if task == "text-generation":
        config.vocab_size = classes
        config.use_cache = False
        # BERT and similar models attend to later positions too unless `is_decoder` is true
        if hasattr(config, "is_decoder"):
            config.is_decoder = True
    else:
        config.num_labels = classes
    if task == "image-classification":
        config.num_channels, config.image_size = shape[0], shape[1]
