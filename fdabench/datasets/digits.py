"""The data set `digits`: 1797 handwritten digits of 8 x 8 pixels, which scikit-learn contains."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from fdabench.component_info import ComponentInfo
from fdabench.datasets.base import DatasetSpec, DatasetTensors


def load(root: Path) -> DatasetTensors:
    """Load the digits. Pixels are divided by 16, and every fifth sample is a test sample.

    The samples are not sorted by class, so the test set has about the same share of each class.

    Args:
        root: the data folder; not used.
    """
    table = np.loadtxt(_path(), dtype=np.int64, delimiter=",")
    x = torch.tensor(table[:, :-1], dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    y = torch.tensor(table[:, -1])
    test = torch.arange(len(y)) % 5 == 4
    return DatasetTensors(x[~test], y[~test], x[test], y[test], 10)


def _path() -> Path:
    """Return the file that `sklearn.datasets.load_digits` reads: 64 pixels and the class in each line.

    `load_digits` is not called, because the import of scikit-learn takes a second in each process.
    """
    package = find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"


def _locate(root: Path) -> str:
    return "comes with scikit-learn"


DIGITS = DatasetSpec(
    load,
    1438,
    (1, 8, 8),
    10,
    "8 x 8 digits of scikit-learn, pixels / 16; no download",
    ComponentInfo(name="Digits", references=("alpaydin1998",)),
    _locate,
    test_samples=359,
    has_owners=False,
)
