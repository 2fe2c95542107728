"""Fine-tuning: a model that begins from a file of weights and trains a part of its parameters or adapters.

Parameters that are not trained are frozen: they are no part of the rows of workers, so drifts, local states, codecs and
messages have the trainable parameters only, and all workers of a process share one copy of the rest.
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
from fdabench.models.lora import LORA_REFERENCE, LoraConfig, add_adapters
from fdabench.models.weight_files import file_hash, find_weights, load_exactly, read_weights


@dataclass(frozen=True)
class FineTuning:
    """Where a model begins, and what of it is trained.

    Args:
        init: the weights that it begins from, as `weight_files.find_weights` takes them; empty: the seed draws them.
        trainable: names of parameters or modules, or patterns with `*`; empty: all parameters, or the adapters.
        lora: adapters of linear layers; None: there are none.
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
    """Return the name in configurations of cells, and the specification, of a model that is fine-tuned.

    The name ends with a hash of the settings and of the content of the file, so cells that begin from other weights or
    train other parameters are other cells. The path of the file does not matter.

    Args:
        name: of the model.
        spec: of the model.
        settings: where it begins, and what is trained.

    Raises:
        WorkloadError: the file cannot be found or read.
    """
    path = find_weights(settings.init) if settings.init else None
    content = ""
    if path is not None:
        content = file_hash(path)
        read_weights(path)
    key = {**asdict(settings), "init": content}
    if not settings.freezes:
        del key["base"]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:8]
    how = f"lora{settings.lora.rank}" if settings.lora else "part" if settings.trainable else "init"
    if settings.freezes and settings.base == "sent":
        how += "-sent"
    build = partial(_build, spec, settings, path)
    title = f"{spec.info.name or name}, {_title(settings)}"
    made = replace(
        spec,
        build=build,
        description=f"{spec.description}; {_title(settings)}",
        info=replace(
            spec.info, name=title, references=(*spec.info.references, *((LORA_REFERENCE,) if settings.lora else ()))
        ),
        frozen_base=settings.base if settings.freezes else None,
        pretrained=None if path is not None else spec.pretrained,
    )
    return f"{name}-{how}-{digest}", made


def _title(settings: FineTuning) -> str:
    if settings.lora is not None:
        return f"LoRA rank {settings.lora.rank}"
    return "a part trained" if settings.trainable else "from given weights"


def _build(spec: ModelSpec, settings: FineTuning, path: Path | None, shape: Shape, classes: int) -> nn.Module:
    """Build the model, load its initial weights, and freeze what is not trained."""
    model = spec.build(shape, classes)
    if path is not None:
        with torch.device("cpu"):
            load_exactly(model, read_weights(path), path)
    return freeze(model, settings)


def check_layers(spec: ModelSpec, settings: FineTuning, shape: Shape, classes: int) -> None:
    """Check that the names and patterns select something, on the meta device and without the file of weights.

    Raises:
        WorkloadError: one of them selects nothing.
    """
    with torch.device("meta"):
        freeze(spec.build(shape, classes), settings)


def freeze(model: nn.Module, settings: FineTuning) -> nn.Module:
    """Freeze what is not trained and add the adapters, in place; returns the model.

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
            text = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            raise WorkloadError(
                f'trainable: "{pattern}" selects no parameter{did_you_mean(pattern, available)}; there are {text}'
            )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(_selects(pattern, name) for pattern in patterns))


def _selects(pattern: str, name: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
