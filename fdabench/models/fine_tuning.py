"""Fine-tuning: a model is initialized from a file of weights, and a part of its parameters, or adapters, are trained.

Parameters that are not trained are frozen. The rows of workers do not contain them, so drifts, local states, codecs and
messages have the trainable parameters only, and all workers of a process share one copy of the frozen ones.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import torch
from torch import nn

from fdabench.errors import WorkloadError, did_you_mean
from fdabench.models.base import FrozenBase, ModelSpec, Shape
from fdabench.models.lora import LORA_REFERENCE, LoraConfig, add_adapters, first_names
from fdabench.models.weight_files import file_hash, find_weights, load_exactly, read_weights


@dataclass(frozen=True)
class FineTuning:
    """The initial weights of a model, and the parameters that are trained.

    Args:
        init: the file of the initial weights, as `weight_files.find_weights` accepts it; empty to draw them from the
            seed.
        trainable: names of the trained parameters or modules, or patterns with `*`; empty for the adapters if there are
            any, else all parameters.
        lora: adapters of linear layers; None if there are none.
        base: "preinstalled" if every worker has the frozen parameters before the run, so that no bytes are counted for
            them; "sent" if they are sent to each worker once.
    """

    init: str = ""
    trainable: tuple[str, ...] = ()
    lora: LoraConfig | None = None
    base: FrozenBase = "preinstalled"

    @property
    def freezes(self) -> bool:
        """Whether a part of the model is frozen."""
        return bool(self.trainable) or self.lora is not None


def fine_tuned(name: str, spec: ModelSpec, settings: FineTuning) -> tuple[str, ModelSpec]:
    """Return the name and the specification of a fine-tuned model.

    The name, which configurations of cells contain, ends with a hash of the settings and of the content of the file. So
    cells with other initial weights or other trained parameters have another id. The path of the file does not matter.

    Args:
        name: the name of the model that is fine-tuned.
        spec: the specification of that model.
        settings: the initial weights and the parameters that are trained.

    Raises:
        WorkloadError: the file cannot be found or read.
    """
    path = find_weights(settings.init) if settings.init else None
    content = ""
    if path is not None:
        content = file_hash(path)
        read_weights(path)  # a damaged file is reported before any cell runs
    key = {**asdict(settings), "init": content}
    if not settings.freezes:
        del key["base"]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:8]
    method = f"lora{settings.lora.rank}" if settings.lora else "part" if settings.trainable else "init"
    if settings.freezes and settings.base == "sent":
        method += "-sent"
    title = f"{spec.info.name or name}, {_title(settings)}"
    references = (*spec.info.references, *((LORA_REFERENCE,) if settings.lora else ()))
    fine_tuned_spec = replace(
        spec,
        build=partial(_build, spec, settings, path),
        description=f"{spec.description}; {_title(settings)}",
        info=replace(spec.info, name=title, references=references),
        frozen_base=settings.base if settings.freezes else None,
        pretrained=None if path is not None else spec.pretrained,
    )
    return f"{name}-{method}-{digest}", fine_tuned_spec


def _title(settings: FineTuning) -> str:
    if settings.lora is not None:
        return f"LoRA rank {settings.lora.rank}"
    return "a part trained" if settings.trainable else "from given weights"


def _build(spec: ModelSpec, settings: FineTuning, path: Path | None, shape: Shape, classes: int) -> nn.Module:
    """Build the model, load its initial weights, and freeze what is not trained."""
    model = spec.build(shape, classes)
    if path is not None:
        with torch.device("cpu"):  # `build` may run on the meta device, where the file would be read without values
            load_exactly(model, read_weights(path), path)
    return freeze(model, settings)


def check_layers(spec: ModelSpec, settings: FineTuning, shape: Shape, classes: int) -> None:
    """Check that each name and pattern selects a parameter, on the meta device and without the file of weights.

    Args:
        spec: the model before fine-tuning.
        settings: the names and patterns.
        shape: the shape of one input.
        classes: the number of outputs.

    Raises:
        WorkloadError: a name or pattern selects nothing.
    """
    with torch.device("meta"):
        freeze(spec.build(shape, classes), settings)


def freeze(model: nn.Module, settings: FineTuning) -> nn.Module:
    """Add the adapters and freeze the parameters that are not trained, in place.

    Args:
        model: the model with its initial weights.
        settings: the adapters, and the parameters that are trained.

    Returns:
        `model`.

    Raises:
        WorkloadError: a name or pattern selects nothing.
    """
    if settings.lora is not None:
        add_adapters(model, settings.lora)
    if settings.trainable:
        _train_only(model, settings.trainable)
    return model


def _train_only(model: nn.Module, patterns: Sequence[str]) -> None:
    """Freeze the parameters that no pattern selects."""
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(_selects(pattern, name) for name in names):
            available = [*names, *(name for name, _ in model.named_modules() if name)]
            raise WorkloadError(
                f'trainable: "{pattern}" selects no parameter{did_you_mean(pattern, available)}; '
                f"there are {first_names(names)}"
            )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(_selects(pattern, name) for pattern in patterns))


def _selects(pattern: str, name: str) -> bool:
    """Return whether a pattern matches a parameter, or a module that contains it."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
