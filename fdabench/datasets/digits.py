"""The digits of scikit-learn: 1797 handwritten digits of 8 x 8 pixels, which scikit-learn contains."""

from pathlib import Path

import torch

from fdabench.component_info import ComponentInfo
from fdabench.datasets.base import DatasetSpec, DatasetTensors


def load(root: Path) -> DatasetTensors:
    """Load the digits. Pixels are divided by 16, and every fifth sample is a test sample.

    The samples are not sorted by class, so the test set has about the same share of each class.

    Args:
        root: the data folder; not used.
    """
    from sklearn.datasets import load_digits  # the import takes a second, and only this data set needs it

    bunch = load_digits()
    x = torch.tensor(bunch.images, dtype=torch.float32)[:, None] / 16
    y = torch.tensor(bunch.target, dtype=torch.int64)
    test = torch.arange(len(y)) % 5 == 4
    return DatasetTensors(x[~test], y[~test], x[test], y[test], 10)


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
