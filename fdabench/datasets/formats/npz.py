"""Reads NumPy archives, `numpy.savez(path, x_train=..., y_train=...)`. Arrays of Python objects are refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from fdabench.component_info import ComponentInfo
from fdabench.datasets.base import DatasetTensors
from fdabench.datasets.formats.base import DataError, DataFault, first_line, missing_names, single_file
from fdabench.datasets.formats.samples import Array, Normalization, Samples, make_tensors

REQUIRED = ("x_train", "y_train")
TEST = ("x_test", "y_test")
OWNERS = ("owner_train", "owner_test")


@dataclass(frozen=True)
class Npz:
    """An archive with the arrays x_train, y_train and, optionally, x_test and y_test, owner_train and owner_test.

    Args:
        path: the file.
        test: the share of the samples in the test set; not used if the archive has x_test.
        test_seed: the seed from which those samples are drawn.
        shape: the shape of one input, such as `1x28x28`; empty if the arrays have it.
        normalize: `channel` or `none`.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(name="NumPy archive")

    path: str
    test: float = 0.2
    test_seed: int = 0
    shape: str = ""
    normalize: Normalization = "none"

    def files(self) -> list[Path]:
        return [single_file("path", self.path, "digits.npz")]

    def read(self) -> DatasetTensors:
        arrays = read_arrays(self.files()[0])
        has_test = any(name in arrays for name in TEST)
        names = [*REQUIRED, *(TEST if has_test else ())]
        faults = [fault for name in names for fault in missing_names(self.path, {"path": name}, list(arrays), "array")]
        if faults:
            raise DataError(faults)
        train = Samples(self.path, arrays["x_train"], arrays["y_train"], arrays.get("owner_train"))
        test: Samples | float = self.test
        if has_test:
            test = Samples(self.path, arrays["x_test"], arrays["y_test"], arrays.get("owner_test"))
        return make_tensors(train, test, self.test_seed, self.shape, self.normalize)


def read_arrays(file: Path) -> dict[str, Array]:
    """Return the arrays of an archive whose names are in `REQUIRED`, `TEST` or `OWNERS`, by name.

    Raises:
        DataError: the file is not an archive, is damaged, or has an array of Python objects.
    """
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError([DataFault("path", f"{file}: this is a single array; expected an archive (savez)")])
            return {name: archive[name] for name in archive.files if name in (*REQUIRED, *TEST, *OWNERS)}
    except DataError:
        raise
    except Exception as error:  # NumPy, zipfile and zlib raise errors of many classes, such as AssertionError
        if "allow_pickle" in str(error):
            reason = "it has Python objects, which fdabench does not unpickle; save numbers or strings"
        else:
            reason = f"it is not a NumPy archive, or it is damaged: {first_line(error)}"
        raise DataError([DataFault("path", f"{file}: {reason}")]) from error
