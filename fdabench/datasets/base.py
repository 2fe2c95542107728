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
from fdabench.shared_types import Task


@dataclass(frozen=True)
class DatasetTensors:
    """A data set in memory.

    Args:
        train_x: images of the training set, float32 of shape [N, channels, height, width], or its sequences of tokens,
            int64 of shape [N, T].
        train_y: labels of the training set, int64 of shape [N], or the next token at each position, int64 of shape
            [N, T]; in 0..classes-1.
        test_x: images or sequences of the test set.
        test_y: labels or next tokens of the test set.
        classes: the number of classes, or of tokens in the vocabulary.
        train_owners: the index of the owner of each training sample in `owner_names`, int64 of shape [N]; None if
            samples have no owners.
        test_owners: the same for each test sample.
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
        """The shape of one input: channels, height, width of an image, or the length of a sequence."""
        return tuple(self.train_x.shape[1:])

    @property
    def task(self) -> Task:
        """What a model predicts: the next token if targets are sequences, else the class."""
        return "next-token" if self.train_y.dim() > 1 else "classification"

    def to(self, device: torch.device) -> "DatasetTensors":
        """Copy the tensors to a device.

        Images get the memory format `channels_last`, which makes convolutions on a CPU up to 3 times as fast. Owners
        stay in the memory of the CPU, where the data is partitioned.

        Args:
            device: the device.

        Returns:
            The data set on the device.
        """
        layout = torch.channels_last if self.train_x.dim() == 4 else torch.contiguous_format
        train_x, test_x = (x.to(device, memory_format=layout) for x in (self.train_x, self.test_x))
        train_y, test_y = self.train_y.to(device), self.test_y.to(device)
        return replace(self, train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y)


@dataclass(frozen=True)
class DatasetSpec:
    """How to load a data set, and its properties, which a plan needs without loading it."""

    load: Callable[[Path], DatasetTensors]
    """Loads the data set from the data folder, which has torchvision's layout.

    Raises WorkloadError if the data set is missing.
    """
    train_samples: int
    """The number of training samples."""
    shape: tuple[int, ...]
    """The shape of one input: channels, height, width of an image, or the length of a sequence."""
    classes: int
    """The number of classes, or of tokens in the vocabulary."""
    description: str
    """One line for `fdabench list datasets`."""
    info: ComponentInfo = ComponentInfo()
    """Display name and references."""
    locate: Callable[[Path], str] | None = None
    """Returns the path of the files in the data folder, or "" if they are missing, without network access.

    None if only `load` can determine it.
    """
    task: Task = "classification"
    """What a model predicts; only a model of the same task can be trained on the data set."""
    test_samples: int | None = None
    """The number of test samples; None if only `load` can determine it."""
    has_owners: bool | None = None
    """Whether the training samples have owners; None if only `load` can determine it."""


def data_dir(folder: Path | None) -> Path:
    """Return the data folder.

    Args:
        folder: the value of `--data-dir`; None for the environment variable FDABENCH_DATA, or `data` if it is not set.
    """
    return folder or Path(os.environ.get("FDABENCH_DATA") or "data")
