"""Samplers draw the mini-batches of a worker. Each worker has its own sampler with its own generator."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import numpy as np

from fdabench.errors import WorkloadError
from fdabench.partitions.base import Indices

LastBatch = Literal["wrap", "drop", "keep"]
SamplerState = dict[str, Any]
"""The state of a sampler: numbers, text and arrays only, so that a checkpoint can store it."""


class Sampler(Protocol):
    """Draws the mini-batches of one worker."""

    def next_batch(self) -> Indices:
        """Draw the next mini-batch, as indices into the training set."""
        ...

    def state_dict(self) -> SamplerState:
        """The state after the last batch."""
        ...

    def load_state_dict(self, position: SamplerState) -> None:
        """Continue from a state that `state_dict` returned."""
        ...


class RemappedSampler:
    """Converts the indices of another sampler for a process that stores a part of the training set.

    Args:
        sampler: draws indices into the whole training set.
        place: the position of each sample of the training set in the stored part.
    """

    def __init__(self, sampler: Sampler, place: Indices) -> None:
        self._sampler, self._place = sampler, place

    def next_batch(self) -> Indices:
        return self._place[self._sampler.next_batch()]

    def state_dict(self) -> SamplerState:
        return self._sampler.state_dict()

    def load_state_dict(self, position: SamplerState) -> None:
        self._sampler.load_state_dict(position)


class ShuffleSampler:
    """Draws without replacement: a new random order of the shard in each epoch.

    Args:
        shard: the samples of this worker.
        batch_size: samples in a mini-batch.
        last_batch: what happens to samples that do not fill a batch at the end of an epoch. `wrap` fills the batch
            from the next epoch, `drop` skips them, `keep` makes a smaller batch.
        rng: the generator of this worker.

    Raises:
        WorkloadError: `drop` would leave no batch, because the shard is smaller than a batch.
    """

    def __init__(self, shard: Indices, batch_size: int, last_batch: LastBatch, rng: np.random.Generator) -> None:
        if last_batch == "drop" and len(shard) < batch_size:
            raise WorkloadError(
                f"last_batch = 'drop' leaves a worker that holds {len(shard)} samples without any batch of "
                f"{batch_size}: take 'wrap' or 'keep', a smaller batch_size, or min_samples in the partition"
            )
        self._shard, self._batch_size, self._last_batch, self._rng = shard, batch_size, last_batch, rng
        self._rest: Indices = shard[:0]

    def next_batch(self) -> Indices:
        while len(self._rest) < _MIN_REMAINING[self._last_batch](self._batch_size):
            remaining = self._rest if self._last_batch == "wrap" else self._rest[:0]
            self._rest = np.concatenate([remaining, self._rng.permutation(self._shard)])
        batch, self._rest = self._rest[: self._batch_size], self._rest[self._batch_size :]
        return batch

    def state_dict(self) -> SamplerState:
        return {"rest": self._rest, "rng": self._rng.bit_generator.state}

    def load_state_dict(self, position: SamplerState) -> None:
        self._rest, self._rng.bit_generator.state = position["rest"], position["rng"]


_MIN_REMAINING: Mapping[LastBatch, Callable[[int], int]] = {
    "wrap": lambda b: b,
    "drop": lambda b: b,
    "keep": lambda b: 1,
}


class IndependentBatchSampler:
    """Draws each batch independently, as the FDA paper does: distinct samples of the shard, without epochs."""

    def __init__(self, shard: Indices, batch_size: int, rng: np.random.Generator) -> None:
        self._shard, self._size, self._rng = shard, min(batch_size, len(shard)), rng

    def next_batch(self) -> Indices:
        return self._shard[self._rng.choice(len(self._shard), self._size, replace=False)]

    def state_dict(self) -> SamplerState:
        return {"rng": self._rng.bit_generator.state}

    def load_state_dict(self, position: SamplerState) -> None:
        self._rng.bit_generator.state = position["rng"]
