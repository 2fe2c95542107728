from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdabench.core.seeds import numpy_generator
from fdabench.engine.sampling import IndependentBatchSampler, LastBatch, ShuffleSampler
from fdabench.errors import WorkloadError

SHARD = np.arange(100, 110)


def draws(last_batch: LastBatch, count: int, shard: np.ndarray = SHARD, size: int = 4) -> list[list[int]]:
    sampler = ShuffleSampler(shard, size, last_batch, numpy_generator(0))
    return [sampler.next_batch().tolist() for _ in range(count)]


def flat(batches: list[list[int]]) -> list[int]:
    return list(chain.from_iterable(batches))


def test_wrap_fills_the_last_batch_from_the_next_epoch() -> None:
    """Ten samples in fours: five batches are two epochs."""
    batches = draws("wrap", 5)
    assert [len(batch) for batch in batches] == [4] * 5
    samples = flat(batches)
    assert sorted(samples[:10]) == sorted(samples[10:]) == SHARD.tolist()
    assert samples[:10] != samples[10:]


def test_keep_makes_a_small_batch() -> None:
    batches = draws("keep", 6)
    assert [len(batch) for batch in batches] == [4, 4, 2] * 2
    assert sorted(flat(batches[:3])) == sorted(flat(batches[3:])) == SHARD.tolist()


def test_drop_skips_the_incomplete_batch_of_each_epoch() -> None:
    batches = draws("drop", 4)
    assert [len(batch) for batch in batches] == [4] * 4
    assert len(set(flat(batches[:2]))) == len(set(flat(batches[2:]))) == 8
    everything = flat(draws("drop", 200))
    assert set(everything) == set(SHARD.tolist())


@given(st.integers(1, 30), st.integers(1, 12), st.sampled_from(["wrap", "keep"]))
def test_each_epoch_has_every_sample_once(samples: int, size: int, last_batch: LastBatch) -> None:
    shard = np.arange(samples)
    sampler = ShuffleSampler(shard, size, last_batch, numpy_generator(1))
    drawing: list[int] = []
    while len(drawing) < 4 * samples:
        drawing += sampler.next_batch().tolist()
    for epoch in range(4):
        assert sorted(drawing[epoch * samples : (epoch + 1) * samples]) == shard.tolist()


def test_a_shard_smaller_than_a_batch_is_wrapped_kept_or_refused() -> None:
    shard = SHARD[:3]
    assert [len(batch) for batch in draws("wrap", 3, shard, 8)] == [8] * 3
    assert [sorted(batch) for batch in draws("keep", 2, shard, 8)] == [shard.tolist()] * 2
    advice = "holds 3 samples without any batch of 8: take 'wrap' or 'keep', a smaller batch_size, or min_samples"
    with pytest.raises(WorkloadError, match=advice):
        draws("drop", 1, shard, 8)


@given(st.integers(1, 30), st.integers(1, 12))
def test_replacement_draws_distinct_samples_of_the_shard(samples: int, size: int) -> None:
    shard = np.arange(samples) * 3
    sampler = IndependentBatchSampler(shard, size, numpy_generator(2))
    for _ in range(5):
        batch = sampler.next_batch().tolist()
        assert len(set(batch)) == len(batch) == min(size, samples)
        assert set(batch) <= set(shard.tolist())


def test_replacement_has_no_epochs() -> None:
    """Each of 10 samples is in a batch of 4 with chance 0.4: six standard deviations of 1,000 batches are 93."""
    sampler = IndependentBatchSampler(SHARD, 4, numpy_generator(3))
    batches = [sampler.next_batch().tolist() for _ in range(1000)]
    times = np.bincount(flat(batches), minlength=110)[100:]
    assert np.abs(times - 400).max() < 93
    assert any(set(a) & set(b) for a, b in pairwise(batches))
