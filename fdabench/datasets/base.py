"""The types of data sets: the tensors of a loaded one, and the specification of how to load it.

Images are float32 of shape [N, channels, height, width], labels int64 of shape [N].
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from fdabench.component_info import ComponentInfo


@dataclass(frozen=True)
class DatasetTensors:
    """A data set in memory.

    Args:
        train_x: images of the training set.
        train_y: labels of the training set, in 0..classes-1.
        test_x: images of the test set.
        test_y: labels of the test set.
        classes: the number of classes.
        train_owners: who each training sample belongs to, int64 of shape [N], in 0..len(owner_names)-1; None if
            samples have no owners.
        test_owners: who each test sample belongs to, like `train_owners`.
        owner_names: the name of each owner, such as a writer, a role of a play or a hospital.
    """

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: int
    train_owners: Tensor | None = None
    test_owners: Tensor | None = None
    owner_names: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image: channels, height, width."""
        return tuple(self.train_x.shape[1:])

    def to(self, device: torch.device) -> "DatasetTensors":
        """Copy the tensors to a device.

        Images get the memory format `channels_last`, which makes convolutions on a CPU up to 3 times as fast. Owners
        stay in the memory of the CPU, where the data is partitioned.
        """
        train_x, test_x = (x.to(device, memory_format=torch.channels_last) for x in (self.train_x, self.test_x))
        train_y, test_y = self.train_y.to(device), self.test_y.to(device)
        return replace(self, train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y)


@dataclass(frozen=True)
class DatasetSpec:
    """How to load a data set, and its properties, which a plan needs without loading it."""

    load: Callable[[Path], DatasetTensors]
    """Loads the data set from the data folder, which has torchvision's layout.

    Raises WorkloadError if it is missing."""
    train_samples: int
    """Samples of the training set."""
    shape: tuple[int, ...]
    """The shape of one image: channels, height, width."""
    classes: int
    """The number of classes."""
    description: str
    """One line for `fdabench list datasets`."""
    info: ComponentInfo = ComponentInfo()
    """Display name and references."""
    locate: Callable[[Path], str] | None = None
    """Returns the path of the files in the data folder, or "" if they are missing, without network access.

    None if only `load` can find out."""


def data_dir(chosen: Path | None) -> Path:
    """The data folder: `chosen` (from `--data-dir`), else the environment variable FDABENCH_DATA, else `data`."""
    return chosen or Path(os.environ.get("FDABENCH_DATA") or "data")
