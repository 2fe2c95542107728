"""Reads data sets with torchvision, by the names of its classes. Nothing is downloaded.

The files of CIFAR are pickles; torchvision compares their checksums with the published ones before it opens them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from fdabench.component_info import ComponentInfo
from fdabench.datasets.base import DatasetTensors
from fdabench.datasets.formats.base import DataError, DataFault, first_line
from fdabench.datasets.formats.samples import Normalization, Samples, make_tensors
from fdabench.errors import did_you_mean
from fdabench.torchvision_compat import import_torchvision

FILES = {
    "MNIST": "MNIST/raw/*ubyte",
    "FashionMNIST": "FashionMNIST/raw/*ubyte",
    "KMNIST": "KMNIST/raw/*ubyte",
    "CIFAR10": "cifar-10-batches-py/*",
    "CIFAR100": "cifar-100-python/*",
    "SVHN": "*_32x32.mat",
    "STL10": "stl10_binary/*",
    "USPS": "usps*.bz2",
}
"""Class -> pattern of its files below torchvision's `root`."""
BY_SPLIT = ("SVHN", "STL10")
"""Classes whose constructor has the argument `split` in place of `train`."""


@dataclass(frozen=True)
class TorchvisionRoot:
    """A data set of torchvision.

    Args:
        name: the class, such as `SVHN`.
        path: torchvision's `root`, the folder that contains the files or the folders of data sets.
        normalize: `channel` or `none`. Pixels are divided by 255 in any case.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(name="torchvision")

    name: str
    path: str
    normalize: Normalization = "none"

    def __post_init__(self) -> None:
        if self.name not in FILES:
            allowed = f"allowed: {', '.join(FILES)}{did_you_mean(self.name, FILES)}"
            raise ValueError(f'name: "{self.name}" is unknown; {allowed}')

    def files(self) -> list[Path]:
        pattern = FILES[self.name]
        paths = sorted(file for file in Path(self.path).glob(pattern) if file.is_file())
        if not paths:
            message = f"{self.path}: there is no {pattern}, where torchvision keeps the files of {self.name}"
            raise DataError([DataFault("path", message)])
        return paths

    def read(self) -> DatasetTensors:
        train, test = (self._samples(part) for part in ("train", "test"))
        return make_tensors(train, test, 0, "", self.normalize)

    def _samples(self, part: str) -> Samples:
        cls = getattr(import_torchvision("datasets"), self.name)
        selection: dict[str, object] = {"split": part} if self.name in BY_SPLIT else {"train": part == "train"}
        try:
            data = cls(self.path, download=False, **selection)
        except Exception as error:  # parsers of damaged files raise errors of any class
            message = f"{self.path}: torchvision cannot read {self.name}: {first_line(error)}"
            raise DataError([DataFault("path", message)]) from error
        labels = data.targets if hasattr(data, "targets") else data.labels
        return Samples(f"{self.path} ({part})", np.asarray(data.data), np.asarray(labels).astype(np.int64))
