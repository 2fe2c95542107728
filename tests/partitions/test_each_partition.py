"""Properties of single partitions: examples from their definitions, and limits."""

import numpy as np
import pytest

from fdabench.core.seeds import numpy_generator
from fdabench.errors import PartitionError
from fdabench.partitions.base import Partition
from fdabench.partitions.dirichlet import Dirichlet
from fdabench.partitions.iid import Iid, IidFileOrder, RoundRobin
from fdabench.partitions.sorted import Label, Sorted

LABELS = np.array([2, 0, 1, 0, 2, 1, 0, 1, 2, 0])
"""Ten samples: class 0 at 1, 3, 6, 9; class 1 at 2, 5, 7; class 2 at 0, 4, 8."""


def split(partition: Partition, workers: int, labels: np.ndarray = LABELS) -> list[list[int]]:
    return [shard.tolist() for shard in partition.split(labels, workers, numpy_generator(0))]


def test_file_order_gives_contiguous_pieces_of_the_file() -> None:
    assert split(IidFileOrder(), 3) == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_round_robin_assigns_samples_to_workers_in_turn() -> None:
    assert split(RoundRobin(), 3) == [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]


def test_iid_is_shuffled() -> None:
    shards = split(Iid(), 2, np.zeros(1000, dtype=np.int64))
    assert shards[0] != sorted(shards[0])
    assert 200 < sum(index < 500 for index in shards[0]) < 300


def test_sorted_sorts_the_first_part_of_the_file_and_not_the_rest() -> None:
    """60 %: samples 0 to 5 by class are 1, 3 | 2, 5 | 0, 4; the rest is 6, 7 | 8 | 9."""
    assert split(Sorted(0.6), 3) == [[1, 3, 6, 7], [2, 5, 8], [0, 4, 9]]


def test_sorted_with_a_share_of_1_and_of_0() -> None:
    assert split(Sorted(1.0), 2) == [[1, 3, 6, 9, 2], [5, 7, 0, 4, 8]]
    assert split(Sorted(0.0), 2) == split(IidFileOrder(), 2)


@pytest.mark.parametrize(("fraction", "count"), [(0.29, 29), (0.57, 57), (0.6, 60), (0.333, 33)])
def test_the_sorted_part_has_the_size_of_its_decimal_text(fraction: float, count: int) -> None:
    """0.29 * 100 is 28.999999999999996 in floating point, and 29 samples to whoever wrote it."""
    labels = np.arange(100)[::-1]
    assert split(Sorted(fraction), 1, labels) == [[*range(count - 1, -1, -1), *range(count, 100)]]


def test_sorted_with_many_workers_leaves_the_last_ones_empty() -> None:
    """Five samples in each of its parts; who runs a cell refuses that."""
    assert [len(shard) for shard in split(Sorted(0.5), 8)] == [2, 2, 2, 2, 2, 0, 0, 0]


def test_label_puts_one_class_first() -> None:
    assert split(Label(1), 3) == [[2, 5, 7, 0], [1, 3, 4], [6, 8, 9]]
    assert split(Label(0), 5) == [[1, 3], [6, 9], [0, 2], [4, 5], [7, 8]]


def test_a_label_that_does_not_occur_is_named() -> None:
    with pytest.raises(PartitionError, match=r"label 7 does not occur; there are \[0, 1, 2\]"):
        split(Label(7), 2)


def counts(partition: Partition, labels: np.ndarray, workers: int, seed: int = 0) -> np.ndarray:
    """Samples by worker and class."""
    shards = partition.split(labels, workers, numpy_generator(seed))
    return np.array([np.bincount(labels[shard], minlength=labels.max() + 1) for shard in shards])


def test_a_large_alpha_divides_each_class_evenly() -> None:
    """Shares have a standard deviation of 2e-4 of 100 samples; cuts are rounded to whole ones."""
    actual = counts(Dirichlet(1e6), np.arange(1000) % 10, 5)
    assert np.abs(actual - 20).max() <= 1


def test_a_large_alpha_gives_each_worker_the_overall_class_distribution() -> None:
    """A class is 200 of 2,000, give or take six standard deviations of what the four others took: 6 * 27."""
    actual = counts(Dirichlet(1e6, "per-worker"), np.arange(10_000) % 10, 5)
    assert actual.sum(1).tolist() == [2000] * 5
    assert np.abs(actual - 200).max() <= 6 * 27


@pytest.mark.parametrize("alpha", [1e12, 1e300, 1.7e308])
@pytest.mark.parametrize("shares", ["per-class", "per-worker"])
def test_a_very_large_alpha_gives_equal_proportions(shares: str, alpha: float) -> None:
    actual = counts(Dirichlet(alpha, shares), np.arange(10_000) % 10, 5)
    assert actual.min() > 30
    assert actual.max() < 370


@pytest.mark.parametrize("alpha", [5e-324, 1e-300, 1e-9, 1e-4])
def test_a_small_alpha_gives_each_class_to_one_worker(alpha: float) -> None:
    """But for the one sample each that workers without a class are given."""
    actual = counts(Dirichlet(alpha), np.arange(1000) % 10, 5)
    assert (actual.max(0) >= 95).all()


@pytest.mark.parametrize("alpha", [5e-324, 1e-300, 1e-9])
def test_a_small_alpha_gives_each_worker_one_class(alpha: float) -> None:
    """Two classes of 500 for ten workers of 100: a class is used up exactly."""
    actual = counts(Dirichlet(alpha, "per-worker"), np.arange(1000) % 2, 10)
    assert sorted(actual.tolist()) == [[0, 100]] * 5 + [[100, 0]] * 5


def test_smaller_alphas_are_more_heterogeneous() -> None:
    labels = np.arange(5000) % 10
    for shares in ("per-class", "per-worker"):
        apart = [
            np.mean([counts(Dirichlet(alpha, shares), labels, 10, seed).std(0).mean() for seed in range(5)])
            for alpha in (100.0, 1.0, 0.1)
        ]
        assert apart == sorted(apart)
        assert apart[2] > 2 * apart[0]


@pytest.mark.parametrize("shares", ["per-class", "per-worker"])
def test_no_worker_has_fewer_than_min_samples(shares: str) -> None:
    labels = np.arange(1000) % 10
    sizes = [len(shard) for shard in Dirichlet(1e-300, shares, 50).split(labels, 20, numpy_generator(0))]
    assert sizes == [50] * 20
    with pytest.raises(PartitionError, match="20 workers need at least 1020 samples, the training set has 1000"):
        Dirichlet(1.0, shares, 51).split(labels, 20, numpy_generator(0))


def test_a_dirichlet_shard_is_shuffled() -> None:
    """Else a batch of the first epoch would hold a single class."""
    shard = Dirichlet(1e6).split(np.arange(1000) % 2, 2, numpy_generator(0))[0]
    first = (shard[:100] % 2).sum()
    assert 20 < first < 80
