"""Reads the JSON files of LEAF, which contain the samples of each user.

Source: S. Caldas et al., LEAF: A Benchmark for Federated Settings, 2018 (arXiv 1812.01097).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from fdabench.component_info import ComponentInfo
from fdabench.datasets.base import DatasetTensors
from fdabench.datasets.formats.base import DataError, DataFault, first_line
from fdabench.datasets.formats.samples import Normalization, Samples, make_tensors


@dataclass(frozen=True)
class Leaf:
    """Files with `{"users": [...], "user_data": {USER: {"x": [...], "y": [...]}}}`; the users are the owners.

    Args:
        path: a file, a folder of files, or a folder with the folders `train` and `test`, as LEAF writes them.
        test: the share of the samples in the test set; used only if there is no folder `test`.
        test_seed: the seed from which those samples are drawn.
        shape: the shape of one input, such as `1x28x28`; empty if the lists have it.
        normalize: `channel`, `bytes` or `none`.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(name="LEAF")

    path: str
    test: float = 0.2
    test_seed: int = 0
    shape: str = ""
    normalize: Normalization = "none"

    def files(self) -> list[Path]:
        return [file for files in self._splits() for file in files]

    def read(self) -> DatasetTensors:
        parts = [_samples(files) for files in self._splits()]
        test = parts[1] if len(parts) == 2 else self.test
        return make_tensors(parts[0], test, self.test_seed, self.shape, self.normalize)

    def _splits(self) -> list[list[Path]]:
        root = Path(self.path)
        if root.is_file():
            return [[root]]
        folders = [root / "train", root / "test"] if (root / "train").is_dir() and (root / "test").is_dir() else [root]
        splits = [sorted(folder.glob("*.json")) for folder in folders]
        faults = [
            DataFault("path", f"{folder}: there are no .json files of LEAF")
            for folder, files in zip(folders, splits, strict=True)
            if not files
        ]
        if faults:
            raise DataError(faults)
        return splits


def _samples(files: list[Path]) -> Samples:
    x: list[Any] = []
    y: list[Any] = []
    owners: list[str] = []
    for file in files:
        for user, inputs, labels in _users(file):
            x += inputs
            y += labels
            owners += [user] * len(labels)
    location = files[0].as_posix() if len(files) == 1 else files[0].parent.as_posix()
    try:
        return Samples(location, np.array(x), np.array(y), np.array(owners, dtype=str))
    except (ValueError, OverflowError) as error:
        message = f"{location}: inputs have different lengths, or are not numbers: {first_line(error)}"
        raise DataError([DataFault("path", message)]) from error


def _users(file: Path) -> Iterator[tuple[str, list[Any], list[Any]]]:
    """Yield name, inputs and labels of each user of a file, in the order of `users`.

    Raises:
        DataError: the file is not JSON, or has another layout.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        users, data = content["users"], content["user_data"]
        for user in users:
            inputs, labels = data[user]["x"], data[user]["y"]
            if not isinstance(inputs, list) or not isinstance(labels, list) or len(inputs) != len(labels):
                raise DataError([DataFault("path", f"{file}: user {user!r}: x and y must be lists of one length")])
            yield str(user), inputs, labels
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            [DataFault("path", f"{file}: it is not JSON, or cannot be read: {first_line(error)}")]
        ) from error
    except (KeyError, TypeError) as error:
        message = f"{file}: it does not have the layout of LEAF, users and user_data with x and y: {first_line(error)}"
        raise DataError([DataFault("path", message)]) from error
