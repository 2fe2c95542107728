"""Which samples a worker sees next. One sampler for each worker, each with a generator of its own."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from fdabench.errors import TaskError

Indices = NDArray[np.int64]
LastBatch = Literal["wrap", "drop", "keep"]
Position = dict[str, Any]
"""Where a sampler stands: numbers, text and arrays only."""


class Sampler(Protocol):
    def draw(self) -> Indices:
        """The next mini-batch, as indices into the training set."""
        ...

    def position(self) -> Position: ...

    def go_to(self, position: Position) -> None:
        """Draw from here on what a sampler at this position would."""
        ...


class Placed:
    """A sampler for a process that holds a part of the training set: `place` is where each sample is among those."""

    def __init__(self, sampler: Sampler, place: Indices) -> None:
        self._sampler, self._place = sampler, place

    def draw(self) -> Indices:
        return self._place[self._sampler.draw()]

    def position(self) -> Position:
        return self._sampler.position()

    def go_to(self, position: Position) -> None:
        self._sampler.go_to(position)


class Shuffle:
    """Epochs without replacement: the shard in a new random order each time it is through.

    `last_batch`, what becomes of the samples that do not fill a batch at the end of an epoch: `wrap` fills it up from
    the next epoch, so all batches are full and no sample is lost; `drop` leaves them out; `keep` makes a small batch.
    """

    def __init__(self, shard: Indices, batch_size: int, last_batch: LastBatch, rng: np.random.Generator) -> None:
        if last_batch == "drop" and len(shard) < batch_size:
            raise TaskError(
                f"last_batch = 'drop' leaves a worker that holds {len(shard)} samples without any batch of "
                f"{batch_size}: take 'wrap' or 'keep', a smaller batch_size, or min_samples in the partition"
            )
        self._shard, self._batch_size, self._last_batch, self._rng = shard, batch_size, last_batch, rng
        self._rest: Indices = shard[:0]

    def draw(self) -> Indices:
        while len(self._rest) < _ENOUGH[self._last_batch](self._batch_size):
            kept = self._rest if self._last_batch == "wrap" else self._rest[:0]
            self._rest = np.concatenate([kept, self._rng.permutation(self._shard)])
        batch, self._rest = self._rest[: self._batch_size], self._rest[self._batch_size :]
        return batch

    def position(self) -> Position:
        return {"rest": self._rest, "rng": self._rng.bit_generator.state}

    def go_to(self, position: Position) -> None:
        self._rest, self._rng.bit_generator.state = position["rest"], position["rng"]


_ENOUGH: Mapping[LastBatch, Callable[[int], int]] = {"wrap": lambda b: b, "drop": lambda b: b, "keep": lambda b: 1}


class Replacement:
    """The FDA paper's: each batch is an independent draw of distinct samples of the shard."""

    def __init__(self, shard: Indices, batch_size: int, rng: np.random.Generator) -> None:
        self._shard, self._size, self._rng = shard, min(batch_size, len(shard)), rng

    def draw(self) -> Indices:
        return self._shard[self._rng.choice(len(self._shard), self._size, replace=False)]

    def position(self) -> Position:
        return {"rng": self._rng.bit_generator.state}

    def go_to(self, position: Position) -> None:
        self._rng.bit_generator.state = position["rng"]
