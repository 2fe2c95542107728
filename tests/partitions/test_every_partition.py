"""Properties of every partition, for all labels, numbers of workers and parameters."""

from time import perf_counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fdabench.core.seeds import numpy_generator
from fdabench.errors import PartitionError
from fdabench.partitions import PARTITIONS
from fdabench.partitions.base import Indices, Partition
from fdabench.partitions.dirichlet import Dirichlet
from fdabench.partitions.iid import Iid, IidFileOrder, RoundRobin
from fdabench.partitions.natural import Natural
from fdabench.partitions.sorted import Label, Sorted

alphas = st.sampled_from([5e-324, 1e-300, 1e-30, 1e-3, 0.1, 1.0, 30.0, 1e6, 1e308])
partitions = st.one_of(
    st.builds(Iid),
    st.builds(IidFileOrder),
    st.builds(RoundRobin),
    st.builds(Dirichlet, alphas, st.sampled_from(["per-class", "per-worker"])),
    st.builds(Sorted, st.floats(0, 1)),
    st.builds(Label, st.integers(0, 4)),
)
labels_of = st.lists(st.integers(0, 4), min_size=1, max_size=80).map(lambda actual: np.array(actual, dtype=np.int64))


def test_every_partition_is_tested() -> None:
    assert set(PARTITIONS.values()) == {Iid, IidFileOrder, RoundRobin, Dirichlet, Sorted, Label, Natural}


@settings(max_examples=300)
@given(partitions, labels_of, st.data())
def test_every_sample_has_one_worker_and_every_worker_a_sample(
    partition: Partition, labels: Indices, data: st.DataObject
) -> None:
    workers = data.draw(st.integers(1, len(labels)), "workers")
    assume(not isinstance(partition, Label) or partition.label in labels)
    shards = partition.split(labels, workers, numpy_generator(0))
    assert len(shards) == workers
    assert sorted(np.concatenate(shards).tolist()) == list(range(len(labels)))
    if isinstance(partition, Sorted) and workers > len(labels) / 2:
        # of each of its two parts the first workers get the larger pieces, so the last may get nothing of either
        return
    assert min(len(shard) for shard in shards) >= 1


@given(partitions, labels_of, st.integers(1, 20), st.integers(0, 9))
def test_the_same_seed_gives_the_same_shards(partition: Partition, labels: Indices, workers: int, seed: int) -> None:
    def split() -> list[list[int]] | str:
        try:
            return [shard.tolist() for shard in partition.split(labels, workers, numpy_generator(seed))]
        except PartitionError as error:
            return str(error)

    before = labels.copy()
    assert split() == split()
    assert np.array_equal(labels, before)


@pytest.mark.parametrize("partition", [Iid(), Dirichlet(1.0), Dirichlet(1.0, "per-worker")], ids=repr)
def test_another_seed_gives_other_shards(partition: Partition) -> None:
    labels = np.arange(200) % 4
    one, other = (partition.split(labels, 4, numpy_generator(seed)) for seed in (0, 1))
    assert any(a.tolist() != b.tolist() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "partition",
    [Iid(), IidFileOrder(), RoundRobin(), Label(1), Dirichlet(0.1, "per-worker"), Dirichlet(1e-300, "per-worker")],
    ids=repr,
)
def test_shards_are_equal_but_for_one_sample(partition: Partition) -> None:
    labels = np.arange(1003) % 7
    sizes = [len(shard) for shard in partition.split(labels, 10, numpy_generator(0))]
    assert set(sizes) == {100, 101}


@pytest.mark.parametrize(
    "partition",
    [Iid(), Sorted(0.6), Label(0), *(Dirichlet(a, s, 100) for a in (1e-300, 0.1) for s in ("per-class", "per-worker"))],
    ids=repr,
)
def test_partitioning_for_500_workers_takes_seconds(partition: Partition) -> None:
    labels = numpy_generator(1).integers(0, 10, 60_000)
    start = perf_counter()
    shards = partition.split(labels, 500, numpy_generator(0))
    assert perf_counter() - start < 20
    assert sum(len(shard) for shard in shards) == 60_000


@pytest.mark.parametrize(
    "partition", [Iid(), IidFileOrder(), RoundRobin(), Dirichlet(1.0), Sorted(0.5), Label(0)], ids=repr
)
def test_more_workers_than_samples_are_refused(partition: Partition) -> None:
    text = "6 workers need at least 6 samples, the training set has 5: take fewer workers or a larger data set"
    with pytest.raises(PartitionError, match=text):
        partition.split(np.zeros(5, dtype=np.int64), 6, numpy_generator(0))
