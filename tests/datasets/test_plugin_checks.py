"""Checks of the data of plug-ins: dtypes, shapes, labels and values are checked, and every fault is reported."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fdabench.datasets.base import DatasetSpec, DatasetTensors
from fdabench.datasets.checks import SUPPORTED, data_errors, data_hash
from fdabench.datasets.files import FileBackedDatasetSpec, files_hash
from fdabench.errors import WorkloadError

X, Y = torch.zeros(6, 1, 4, 4), torch.tensor([0, 1, 2, 0, 1, 2])
GOOD = DatasetTensors(X, Y, X[:2], Y[:2], 3)
SOURCE = DatasetSpec(lambda root: GOOD, 6, (1, 4, 4), 3, "six images")
INPUT = "train_x must be float32 of shape [6, 1, 4, 4] (train_samples and shape of its DatasetSpec); it is"


def with_value(tensor: torch.Tensor, at: tuple[int, ...], value: float) -> torch.Tensor:
    changed = tensor.clone()
    changed[at] = value
    return changed


def test_data_that_match_their_specification_have_no_fault() -> None:
    assert data_errors(GOOD, SOURCE) == []
    assert data_errors(GOOD.to(torch.device("cpu")), SOURCE) == []


def test_a_sum_that_overflows_is_not_a_fault() -> None:
    assert data_errors(replace(GOOD, train_x=X + 3e38, test_x=X[:2] + 3e38), SOURCE) == []


FAULTS: dict[str, tuple[Any, list[str]]] = {
    "too many owners": (
        replace(GOOD, train_owners=Y, owner_names=("a", "b")),
        ["train_owners[2] is 2; len(owner_names) = 2 allows 0 to 1"],
    ),
    "owners of other samples": (
        replace(GOOD, test_owners=Y, owner_names=("a", "b", "c")),
        ["test_owners must be int64 of shape [2]; it is [6] int64"],
    ),
    "owners without names": (
        replace(GOOD, train_owners=Y, owner_names=None),
        ["owner_names must be a tuple of names, as there are train_owners; it is None"],
    ),
    "nothing": (None, ["load must return a fdabench.datasets.base.DatasetTensors; it returned None"]),
    "tuple": ((X, Y), ["load must return a fdabench.datasets.base.DatasetTensors; it returned a tuple"]),
    "array": (replace(GOOD, test_y=np.zeros(2)), ["test_y must be a torch.Tensor; it is a numpy.ndarray"]),
    "float64": (replace(GOOD, train_x=X.double()), [f"{INPUT} [6, 1, 4, 4] float64"]),
    "sequences": (replace(GOOD, train_x=X.flatten(1).long()), [f"{INPUT} [6, 16] int64. {SUPPORTED}"]),
    "too few": (
        replace(GOOD, train_x=X[:5], train_y=Y[:5]),
        [f"{INPUT} [5, 1, 4, 4] float32", "train_y must be int64 of shape [6]; it is [5] int64"],
    ),
    "one label less": (replace(GOOD, train_y=Y[:5]), ["train_y must be int64 of shape [6]; it is [5] int64"]),
    "nan": (
        replace(GOOD, train_x=with_value(X, (3, 0, 1, 2), np.nan)),
        ["train_x[3, 0, 1, 2] is nan; every value must be finite"],
    ),
    "infinite": (
        replace(GOOD, test_x=with_value(X[:2], (1, 0, 0, 3), np.inf)),
        ["test_x[1, 0, 0, 3] is inf; every value must be finite"],
    ),
    "label too large": (
        replace(GOOD, train_y=with_value(Y, (4,), 3)),
        ["train_y[4] is 3; classes = 3 allows 0 to 2"],
    ),
    "label negative": (
        replace(GOOD, test_y=with_value(Y[:2], (1,), -1)),
        ["test_y[1] is -1; classes = 3 allows 0 to 2"],
    ),
    "one hot": (
        replace(GOOD, train_y=torch.zeros(6, 3)),
        [f"train_y must be int64 of shape [6]; it is [6, 3] float32. {SUPPORTED}"],
    ),
    "int32": (replace(GOOD, train_y=Y.int()), ["train_y must be int64 of shape [6]; it is [6] int32"]),
    "classes": (replace(GOOD, classes=4), ["the DatasetTensors have classes = 4; the DatasetSpec declares 3"]),
    "no test set": (replace(GOOD, test_x=X[:0], test_y=Y[:0]), ["test_x must have at least 1 sample; it has none"]),
    "unequal": (replace(GOOD, test_y=Y[:1]), ["test_y must be int64 of shape [2]; it is [1] int64"]),
    "all at once": (
        DatasetTensors(X.long(), Y.float(), X[:2], Y[:2] + 5, 9),
        [
            "the DatasetTensors have classes = 9; the DatasetSpec declares 3",
            f"{INPUT} [6, 1, 4, 4] int64. {SUPPORTED}",
            f"train_y must be int64 of shape [6]; it is [6] float32. {SUPPORTED}",
            "test_y[0] is 5; classes = 3 allows 0 to 2",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("data", "faults"), FAULTS.values(), ids=FAULTS)
def test_every_fault_states_the_value_and_the_allowed_values(data: Any, faults: list[str]) -> None:
    assert data_errors(data, SOURCE) == faults


def test_the_hash_covers_the_values_of_tensors_and_not_their_memory_layout() -> None:
    data = DatasetTensors(torch.randn(6, 2, 4, 4), Y, torch.randn(2, 2, 4, 4), Y[:2], 3)
    assert data_hash(data) == data_hash(data.to(torch.device("cpu"))), "channels last"
    assert data_hash(data) == data_hash(replace(data, train_x=data.train_x.transpose(2, 3).clone().transpose(2, 3)))
    others = [
        replace(data, train_x=with_value(data.train_x, (5, 1, 3, 3), 7)),
        replace(data, test_y=with_value(data.test_y, (1,), 2)),
        replace(data, train_x=data.train_x.double()),
        replace(data, train_x=data.train_x.reshape(6, 2, 2, 8)),
        replace(data, train_x=data.train_x.reshape(12, 1, 4, 4)),
    ]
    assert len({data_hash(item) for item in (data, *others)}) == 1 + len(others)


def test_the_hash_of_files_is_of_their_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"1")
    (tmp_path / "b.bin").write_bytes(b"2")
    source = FileBackedDatasetSpec(SOURCE.load, 6, (1, 4, 4), 3, "", files=("a.bin", tmp_path / "b.bin"))
    before = files_hash(source, tmp_path)
    assert files_hash(replace(source, files=("b.bin", "a.bin")), tmp_path) != before
    (tmp_path / "b.bin").write_bytes(b"3")
    assert files_hash(source, tmp_path) != before
    with pytest.raises(WorkloadError, match=r"(?s)no.bin: cannot be read: No such file.*nor.bin: cannot be read"):
        files_hash(replace(source, files=("no.bin", "a.bin", "nor.bin")), tmp_path)


TOKENS = torch.arange(30).view(6, 5) % 4
SEQUENCES = DatasetTensors(TOKENS, (TOKENS + 1) % 4, TOKENS[:2], TOKENS[:2], 4)
SEQUENCE_SOURCE = DatasetSpec(lambda root: SEQUENCES, 6, (5,), 4, "six sequences", task="next-token")
SEQUENCE_FAULTS = {
    "images": (
        replace(SEQUENCES, test_x=X[:2]),
        f"test_x must be int64 of shape [2, 5] (shape of its DatasetSpec); it is [2, 1, 4, 4] float32. {SUPPORTED}",
    ),
    "labels": (
        replace(SEQUENCES, test_y=Y[:2]),
        f"test_y must be int64 of shape [2, 5] (shape of its DatasetSpec); it is [2] int64. {SUPPORTED}",
    ),
    "token too large": (replace(SEQUENCES, train_x=TOKENS + 1), "train_x[0, 3] is 4; classes = 4 allows 0 to 3"),
}


def test_sequences_that_match_their_specification_have_no_fault() -> None:
    assert data_errors(SEQUENCES, SEQUENCE_SOURCE) == []


@pytest.mark.parametrize(("data", "fault"), SEQUENCE_FAULTS.values(), ids=SEQUENCE_FAULTS)
def test_sequences_of_another_shape_or_vocabulary_are_refused(data: DatasetTensors, fault: str) -> None:
    assert data_errors(data, SEQUENCE_SOURCE) == [fault]


def test_owners_change_the_hash_and_their_names_do_not() -> None:
    owned = replace(GOOD, train_owners=Y, test_owners=Y[:2], owner_names=("a", "b", "c"))
    assert data_hash(owned) == data_hash(replace(owned, owner_names=("x", "y", "z")))
    assert len({data_hash(GOOD), data_hash(owned), data_hash(replace(owned, train_owners=2 - Y))}) == 3
