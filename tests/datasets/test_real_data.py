"""Tests on the real files of data sets, if FDABENCH_DATA has them."""

import os
from functools import cache
from pathlib import Path

import pytest
import torch

from fdabench.cell_config import CellConfig
from fdabench.datasets import DATASETS
from fdabench.datasets.base import DatasetTensors
from support.cells import train_cell

pytestmark = pytest.mark.data

FILES = {
    "mnist": "MNIST/raw/train-images-idx3-ubyte",
    "fashion-mnist": "FashionMNIST/raw/train-images-idx3-ubyte",
    "cifar10": "cifar-10-batches-py/data_batch_1",
}
TRAIN_COUNTS = {
    "mnist": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "fashion-mnist": [6000] * 10,
    "cifar10": [5000] * 10,
}
TEST_COUNTS = {
    "mnist": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    "fashion-mnist": [1000] * 10,
    "cifar10": [1000] * 10,
}


def folder(name: str) -> Path:
    """The folder of the data; the test is skipped if they are missing, and nothing is downloaded."""
    root = os.environ.get("FDABENCH_DATA")
    if not root:
        pytest.skip("FDABENCH_DATA is not set")
    if not (Path(root) / FILES[name]).exists():
        pytest.skip(f"FDABENCH_DATA has no {FILES[name]}")
    return Path(root)


@cache
def loaded(name: str) -> DatasetTensors:
    return DATASETS[name].load(folder(name))


@pytest.mark.parametrize("name", FILES)
def test_shapes_types_and_counts(name: str) -> None:
    data, source = loaded(name), DATASETS[name]
    assert data.train_x.shape == (source.train_samples, *source.shape)
    assert data.test_x.shape == (10_000, *source.shape)
    assert (data.train_x.dtype, data.train_y.dtype) == (torch.float32, torch.int64)
    assert data.classes == source.classes == 10
    assert data.train_y.bincount().tolist() == TRAIN_COUNTS[name]
    assert data.test_y.bincount().tolist() == TEST_COUNTS[name]


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_grey_pixels_are_between_0_and_1(name: str) -> None:
    data = loaded(name)
    for x in (data.train_x, data.test_x):
        assert (float(x.min()), float(x.max())) == (0.0, 1.0)
    # their published mean pixels: 0.1307 and 0.2860
    assert float(data.train_x.mean()) == pytest.approx({"mnist": 0.1307, "fashion-mnist": 0.2860}[name], abs=1e-4)


def test_color_pixels_are_normalized_by_channel() -> None:
    x = loaded("cifar10").train_x
    assert x.mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=2e-3)
    assert x.std((0, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=2e-3)


def test_lenet5_learns_mnist_under_fda_with_few_syncs() -> None:
    loaded("mnist")
    config = {
        "dataset": "mnist",
        "model": "lenet5",
        "workers": 4,
        "batch_size": 32,
        "sampling": "replacement",
        "last_batch": "wrap",
        "averaging": "uniform",
        "precision": "fp32",
        "batchnorm_stats": "local",
        "partition": {"kind": "iid-file-order"},
        "optimizer": {
            "kind": "adam",
            "lr": 1e-3,
            "beta1": 0.9,
            "beta2": 0.999,
            "eps": 1e-7,
            "weight_decay": 0.0,
            "state_on_sync": "keep",
        },
        "strategy": {
            "kind": "fda",
            "theta": 1.0,
            "monitor": {"kind": "linear"},
            "every": 1,
            "server": {"kind": "average"},
        },
        "budget": {"steps": 80},
        "eval": {"every_steps": 80, "model": "virtual-mean"},
        "seed": 0,
    }
    done = train_cell(CellConfig.from_table(config), folder("mnist"))
    row = done.tables["evals"][-1]
    assert row["test_accuracy"] > 0.75
    assert 1 <= len(done.tables["rounds"]) < 20
    assert row["paper_bytes_state"] == 8 * 80 * 4


@pytest.mark.parametrize("name", FILES)
def test_a_data_set_is_located_without_loading_it(name: str, tmp_path: Path) -> None:
    there = DATASETS[name].locate
    assert there is not None
    assert there(folder(name)) == (folder(name) / FILES[name].split("/")[0]).as_posix()
    assert there(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []
