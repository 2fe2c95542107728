"""Natural partitions: the samples of an owner are at one worker."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdabench.core.seeds import numpy_generator
from fdabench.errors import PartitionError
from fdabench.experiment.build import partition_data, partition_labels
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.partitions.base import Indices, SplitsByOwner
from fdabench.partitions.natural import Natural
from support.cells import load_dataset, text_config

OWNERS = np.array([4, 0, 4, 1, 1, 4, 7, 7, 4, 1])
"""Owner 4 has 4 samples, owner 1 has 3, owner 7 has 2 and owner 0 has 1."""
DIGITS = ("workload.0.dataset=digits", "workload.0.model=mlp")
owners_of = st.lists(st.integers(0, 9), min_size=1, max_size=80).map(lambda actual: np.array(actual, dtype=np.int64))
naturals = st.builds(Natural, st.sampled_from(["group", "owners"]), st.integers(1, 3))


@given(naturals, owners_of, st.data(), st.integers(0, 5))
def test_an_owner_has_one_worker_and_every_worker_an_owner(
    partition: Natural, owners: Indices, data: st.DataObject, seed: int
) -> None:
    sizes = np.bincount(owners)
    remaining = np.flatnonzero(sizes >= partition.min_samples)
    workers = data.draw(st.integers(1, 10), "workers")
    if workers > len(remaining):
        with pytest.raises(PartitionError, match=f"{workers} workers need as many owners"):
            partition.split(owners, workers, numpy_generator(seed))
        return
    shards = partition.split(owners, workers, numpy_generator(seed))
    assert len(shards) == workers
    stored = [set(owners[shard].tolist()) for shard in shards]
    assert all(stored)
    used = [owner for item in stored for owner in item]
    assert len(used) == len(set(used))
    assert set(used) <= set(remaining.tolist())
    assert sum(map(len, shards)) == sizes[used].sum()
    assert len(used) == (workers if partition.workers == "owners" else len(remaining))
    if partition.workers == "group":
        # dealing to the smallest keeps any two workers within one owner of each other
        counts = [len(shard) for shard in shards]
        assert max(counts) - min(counts) <= sizes.max()
    again = partition.split(owners, workers, numpy_generator(seed))
    assert all(map(np.array_equal, shards, again))


def test_each_worker_is_one_owner() -> None:
    shards = Natural("owners", min_samples=2).split(OWNERS, 3, numpy_generator(0))
    assert sorted(shard.tolist() for shard in shards) == [[0, 2, 5, 8], [3, 4, 9], [6, 7]]


def test_every_owner_is_drawn_by_some_seed() -> None:
    samples = [Natural("owners").split(OWNERS, 1, numpy_generator(seed))[0][0] for seed in range(40)]
    assert {int(OWNERS[first]) for first in samples} == {0, 1, 4, 7}


def test_another_seed_gives_other_groups() -> None:
    owners = np.arange(200) % 40
    one, other = (Natural().split(owners, 4, numpy_generator(seed)) for seed in (0, 1))
    assert any(a.tolist() != b.tolist() for a, b in zip(one, other, strict=True))


def test_data_without_owners_are_refused(tmp_path: Path) -> None:
    assert isinstance(Natural(), SplitsByOwner)
    cell = text_config(tmp_path, *DIGITS)
    with pytest.raises(PartitionError, match="'natural' needs samples with owners, and digits has none"):
        partition_data(ResolvedCell(cell), load_dataset(cell))


def test_sequences_are_split_by_owner_and_images_by_class(tmp_path: Path) -> None:
    """Dirichlet over owners for text; a natural partition never looks at classes."""
    text = text_config(tmp_path, "workload.0.partition={ kind = 'dirichlet', alpha = 0.1 }")
    data = load_dataset(text)
    assert data.train_owners is not None
    assert np.array_equal(partition_labels(ResolvedCell(text), data), data.train_owners.numpy())
    without = replace(data, train_owners=None, test_owners=None, owner_names=())
    assert not partition_labels(ResolvedCell(text), without).any()
    images = text_config(tmp_path, *DIGITS, "workload.0.partition=iid")
    digits = load_dataset(images)
    owned = replace(digits, train_owners=1 - digits.train_y % 2, owner_names=("odd", "even"))
    assert np.array_equal(partition_labels(ResolvedCell(images), owned), digits.train_y.numpy())
    shards = partition_data(ResolvedCell(text_config(tmp_path, *DIGITS, "workload.0.workers=2")), owned)
    assert sorted({*(digits.train_y[shard] % 2).tolist()} for shard in shards) == [{0}, {1}]
    assert sum(map(len, shards)) == len(digits.train_y)
