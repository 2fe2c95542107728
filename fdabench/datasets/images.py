"""The data sets MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100. torchvision reads them, and downloads missing ones.

Images are normalized by channel and not augmented.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.datasets.base import DatasetSpec, DatasetTensors
from fdabench.errors import WorkloadError
from fdabench.torchvision_compat import import_torchvision

Channels = tuple[float, ...]
"""One number for each channel."""


def _load(class_name: str, mean: Channels, std: Channels, root: Path) -> DatasetTensors:
    """Load the training and the test set. Pixels are scaled to [0, 1], then normalized to (x - mean) / std.

    Raises:
        WorkloadError: the files are not in `root` and cannot be downloaded. The message states how to get them.
    """
    train, test = (_fetch(class_name, root, train) for train in (True, False))
    shift, scale = torch.tensor(mean)[:, None, None], torch.tensor(std)[:, None, None]
    (train_x, train_y), (test_x, test_y) = ((_images(part), _labels(part)) for part in (train, test))
    for x in (train_x, test_x):
        x.sub_(shift).div_(scale)
    return DatasetTensors(train_x, train_y, test_x, test_y, int(train_y.max()) + 1)


def _constructor(class_name: str, root: Path, train: bool) -> Callable[..., object]:
    """Return torchvision's class of a data set with all arguments but `download`, which the caller adds."""
    return partial(getattr(import_torchvision("datasets"), class_name), str(root), train=train)


def _fetch(class_name: str, root: Path, train: bool) -> object:
    """Read one part of a data set; download it if the files are missing.

    Raises:
        WorkloadError: the download failed.
    """
    construct = _constructor(class_name, root, train)
    try:
        return construct(download=False)
    except RuntimeError:  # torchvision raises it if files are missing or have other checksums
        pass
    try:
        return construct(download=True)
    except (OSError, RuntimeError) as error:
        raise WorkloadError(_how_to_get(class_name, root)) from error


def _locate(class_name: str, root: Path) -> str:
    """Return the path of the files, or "" if they are missing. torchvision verifies published checksums."""
    try:
        for train in (True, False):
            _constructor(class_name, root, train)(download=False)
    except (OSError, RuntimeError):
        return ""
    return (root / _LAYOUT[class_name].split("/")[0]).as_posix()


def _how_to_get(class_name: str, root: Path) -> str:
    return (
        f"{class_name}: not found under {root}, and the download failed. Three ways to get it:\n"
        f"  run the suite once on a machine with network access: it is downloaded on first use;\n"
        f"  copy the files there in torchvision's layout: {root / _LAYOUT[class_name]};\n"
        f"  name the folder of the files: --data-dir DIR, or FDABENCH_DATA=DIR."
    )


_LAYOUT: Mapping[str, str] = {
    "MNIST": "MNIST/raw/train-images-idx3-ubyte, ...",
    "FashionMNIST": "FashionMNIST/raw/train-images-idx3-ubyte, ...",
    "CIFAR10": "cifar-10-batches-py/data_batch_1, ...",
    "CIFAR100": "cifar-100-python/train, ...",
}


def _images(part: Any) -> Tensor:
    """Convert images to float32 in [0, 1] of shape [N, C, H, W].

    torchvision stores MNIST as tensors of shape [N, H, W] and CIFAR as arrays of shape [N, H, W, C].
    """
    x = torch.as_tensor(np.asarray(part.data))
    x = x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2)
    return x.contiguous().to(torch.float32).div_(255)


def _labels(part: Any) -> Tensor:
    return torch.as_tensor(np.asarray(part.targets), dtype=torch.int64)


# mean and standard deviation of each channel
_UNIT: tuple[Channels, Channels] = ((0.0,), (1.0,))
_CIFAR10 = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
_CIFAR100 = ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))

_BY_CHANNEL = "normalized by channel; no augmentation"


def _source(
    class_name: str,
    normalization: tuple[Channels, Channels],
    train_samples: int,
    test_samples: int,
    shape: tuple[int, int, int],
    classes: int,
    description: str,
    info: ComponentInfo,
) -> DatasetSpec:
    """Create the specification of a data set of torchvision; `normalization` is (mean, standard deviation)."""
    load, locate = partial(_load, class_name, *normalization), partial(_locate, class_name)
    return DatasetSpec(
        load, train_samples, shape, classes, description, info, locate, test_samples=test_samples, has_owners=False
    )


MNIST = _source(
    "MNIST",
    _UNIT,
    60_000,
    10_000,
    (1, 28, 28),
    10,
    "pixels / 255, as in the FDA paper",
    ComponentInfo(name="MNIST", references=("lecun1998",)),
)
FASHION_MNIST = _source(
    "FashionMNIST",
    _UNIT,
    60_000,
    10_000,
    (1, 28, 28),
    10,
    "pixels / 255",
    ComponentInfo(name="Fashion-MNIST", references=("xiao2017",)),
)
CIFAR10 = _source(
    "CIFAR10",
    _CIFAR10,
    50_000,
    10_000,
    (3, 32, 32),
    10,
    _BY_CHANNEL,
    ComponentInfo(name="CIFAR-10", references=("krizhevsky2009",)),
)
CIFAR100 = _source(
    "CIFAR100",
    _CIFAR100,
    50_000,
    10_000,
    (3, 32, 32),
    100,
    _BY_CHANNEL,
    ComponentInfo(name="CIFAR-100", references=("krizhevsky2009",)),
)
