"""What a data set is. Shapes: images [N, channels, height, width] float32, labels [N] int64."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fdabench.component_info import ComponentInfo


@dataclass(frozen=True)
class DatasetTensors:
    """A training and a test set, whole in memory. `shape` is that of one image."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.train_x.shape[1:])

    def to(self, device: torch.device) -> "DatasetTensors":
        """The same on a device, images with the channels last: up to three times as fast to convolve on a CPU."""
        train_x, test_x = (x.to(device, memory_format=torch.channels_last) for x in (self.train_x, self.test_x))
        return DatasetTensors(train_x, self.train_y.to(device), test_x, self.test_y.to(device), self.classes)


@dataclass(frozen=True)
class DatasetSpec:
    """Where a data set comes from, and what is known of it before it is loaded."""

    load: Callable[[Path], DatasetTensors]
    """Load it from torchvision's layout under a folder; raises WorkloadError where it is not there."""
    train_samples: int
    shape: tuple[int, ...]
    classes: int
    description: str
    info: ComponentInfo = ComponentInfo()
    locate: Callable[[Path], str] | None = None
    """Where under a folder it is, without a network; empty where it is not. None: only loading it would tell."""


def data_dir(chosen: Path | None) -> Path:
    """`--data-dir`, else FDABENCH_DATA, else `data`."""
    return chosen or Path(os.environ.get("FDABENCH_DATA") or "data")
