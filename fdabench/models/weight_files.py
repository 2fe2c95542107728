"""Reads and writes files of weights: safetensors files, and files of torch.save that contain tensors only."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO

import torch
from torch import Tensor, nn

from fdabench.errors import WorkloadError, did_you_mean

MODEL_FILE = "model.pt"
"""The file in the folder of a cell that `fdabench run --save-model` writes."""
_MOST_FAULTS = 5
"""Faults that a message lists; it states the number of the others."""


def find_weights(location: str) -> Path:
    """Return the file that the key `init` of a model names.

    Args:
        location: a file, the folder of a cell, or a folder of results. If several cells of a folder of results have a
            model, `#` and the first characters of the id of a cell follow.

    Raises:
        WorkloadError: there is no such file, or several cells match.
    """
    folder, _, cell = location.partition("#")
    path = Path(folder)
    if not cell and path.is_file():
        return path
    if not path.is_dir():
        raise WorkloadError(f"init: {folder}: there is no such file or folder")
    if not cell and (path / MODEL_FILE).is_file():
        return path / MODEL_FILE
    saved = sorted(path.glob(f"cells/*/{MODEL_FILE}"))
    if not saved:
        raise WorkloadError(
            f"init: {folder}: no cell has saved its model; run its suite with --save-model, in a new folder of results"
        )
    matches = [file for file in saved if file.parent.name.startswith(cell)]
    if len(matches) != 1:
        message = (
            f'{len(matches)} cells with a model have an id that begins with "{cell}"'
            if cell
            else "several cells have a model"
        )
        names = ", ".join(file.parent.name for file in saved[:8])
        raise WorkloadError(f"init: {folder}: {message}; write {folder}#ID with one of {names}")
    return matches[0]


def file_hash(path: Path) -> str:
    """Return the SHA-256 of the content of a file, in hex digits.

    Raises:
        WorkloadError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WorkloadError(f"init: {path}: cannot be read: {error.strerror}") from error


@lru_cache(maxsize=2)
def read_weights(path: Path) -> Mapping[str, Tensor]:
    """Read the tensors of a file by name. The file cannot run code: pickled objects other than tensors are refused.

    Raises:
        WorkloadError: the file cannot be read, or contains anything other than tensors by name.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files make torch raise errors of many classes
        reason = str(error).partition("\n")[0]
        raise WorkloadError(f"init: {path}: torch cannot read tensors from this file: {reason:.120}") from error
    if not isinstance(content, dict) or not all(isinstance(x, Tensor) for x in content.values()):
        raise WorkloadError(
            f"init: {path}: expected tensors by name, as torch.save(model.state_dict(), path) writes them"
        )
    return content


def _read_safetensors(path: Path) -> Mapping[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise WorkloadError(f"init: {path}: it needs the package safetensors: pip install 'fdabench[hf]'") from error
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WorkloadError(f"init: {path}: it is not a safetensors file, or cannot be read: {error!s:.120}") from error
    return tensors


def write_weights(weights: Mapping[str, Tensor], file: IO[bytes]) -> None:
    """Write tensors by name to a binary file that `read_weights` can read. Equal tensors give equal bytes."""
    torch.save(dict(weights), file)


def load_exactly(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load tensors that must have the names and shapes of those of the model.

    Args:
        model: the model, changed in place. On the meta device only names and shapes are checked.
        tensors: the tensors by name.
        path: the file of the tensors, for messages.

    Raises:
        WorkloadError: a tensor is missing, unknown or of another shape. The message names the first `_MOST_FAULTS`.
    """
    expected = model.state_dict()
    faults = [
        f"{name} has shape {list(tensors[name].shape)}, and {list(x.shape)} in the model"
        for name, x in expected.items()
        if name in tensors and tensors[name].shape != x.shape
    ]
    faults += [f"{name} is missing{did_you_mean(name, tensors)}" for name in expected if name not in tensors]
    faults += [
        f"{name} is not a tensor of the model{did_you_mean(name, expected)}" for name in tensors if name not in expected
    ]
    if faults:
        more = f"; {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
        raise WorkloadError(
            f"init: {path}: it contains the weights of another architecture: {'; '.join(faults[:_MOST_FAULTS])}{more}"
        )
    if not any(x.is_meta for x in expected.values()):
        model.load_state_dict(tensors)
