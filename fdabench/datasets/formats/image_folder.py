"""Reads folders of PNG or JPEG images, with one folder for each class."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from fdabench.component_info import ComponentInfo
from fdabench.datasets.base import DatasetTensors
from fdabench.datasets.formats.base import DataError, DataFault
from fdabench.datasets.formats.images import decode_image, stack_images
from fdabench.datasets.formats.samples import Array, Normalization, Samples, make_tensors

SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class ImageFolder:
    """Images in `CLASS/NAME.png`, or in `OWNER/CLASS/NAME.png`, below `path` or below its folders `train` and `test`.

    Samples are sorted by the names of their files, and by their paths where names are equal.

    Args:
        path: the folder.
        test: the share of the images in the test set; used only if `path` has no folders `train` and `test`.
        test_seed: the seed from which those images are drawn.
        owner: `folder` if the folders of the classes are in folders of their owners, else `none`.
        normalize: `channel` or `none`. Pixels are divided by 255 in any case.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(name="Image folder")

    path: str
    test: float = 0.2
    test_seed: int = 0
    owner: Literal["none", "folder"] = "none"
    normalize: Normalization = "none"

    def files(self) -> list[Path]:
        return [file for folder in self._folders() for file in self._images(folder)]

    def read(self) -> DatasetTensors:
        parts = [self._samples(folder) for folder in self._folders()]
        return make_tensors(parts[0], parts[1] if len(parts) == 2 else self.test, self.test_seed, "", self.normalize)

    def _folders(self) -> list[Path]:
        root = Path(self.path)
        if not root.is_dir():
            raise DataError([DataFault("path", f"{self.path}: there is no such folder")])
        splits = [root / "train", root / "test"]
        return splits if all(split.is_dir() for split in splits) else [root]

    def _images(self, folder: Path) -> list[Path]:
        pattern = "*/*/*" if self.owner == "folder" else "*/*"
        images = [file for file in folder.glob(pattern) if file.suffix.lower() in SUFFIXES and file.is_file()]
        if not images:
            layout = "OWNER/CLASS/NAME.png" if self.owner == "folder" else "CLASS/NAME.png"
            raise DataError([DataFault("path", f"{folder}: there are no images; expected {layout} or .jpg")])
        return sorted(images, key=lambda file: (file.name, file.parts))

    def _samples(self, folder: Path) -> Samples:
        images, files, faults = [], self._images(folder), []
        for file in files:
            try:
                images.append(decode_image(file.read_bytes()))
            except (OSError, ValueError) as error:
                faults.append(DataFault("path", f"{file}: {error}"))
        if faults:
            raise DataError(faults)
        try:
            x = stack_images(images, [file.as_posix() for file in files])
        except ValueError as error:
            raise DataError([DataFault("path", str(error))]) from error
        owners = np.array([file.parent.parent.name for file in files]) if self.owner == "folder" else None
        return Samples(folder.as_posix(), x, _classes([file.parent.name for file in files]), owners)


def _classes(names: list[str]) -> Array:
    """Return the labels: whole numbers if all names are decimal, so that `10` is sorted after `2`, else the names."""
    return np.array([int(name) for name in names] if all(name.isdecimal() for name in set(names)) else names)
