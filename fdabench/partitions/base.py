"""The protocol of partitions, which assign the training samples to workers, and helpers that several of them share."""

from typing import ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from fdabench.errors import PartitionError

Indices: TypeAlias = npt.NDArray[np.int64]
"""Places of samples in the training set."""


class Partition(Protocol):
    """Assigns the samples to workers. Partitions are frozen dataclasses; all random numbers come from `rng`."""

    def split(self, labels: Indices, workers: int, rng: np.random.Generator) -> list[Indices]:
        """Split the training set.

        Args:
            labels: the class of each sample, shape [N], int64. They must not be changed in place. A sequence has no
                class: its owner takes the place, or 0 if the data set has no owners.
            workers: the number of workers.
            rng: the generator of this cell's partition.

        Returns:
            An index array for each worker. Each sample is in exactly one of them; a `SplitsByOwner` may leave samples
            of owners out. A cell with an empty array is refused.

        Raises:
            PartitionError: the samples cannot be split as requested; the message says what would help.
        """
        ...


@runtime_checkable
class SplitsByOwner(Protocol):
    """A partition whose `split` gets the owner of each sample as `labels`, also where samples have classes."""

    split_by: ClassVar[Literal["owners"]]


def require_samples(labels: Indices, workers: int, min_samples: int = 1) -> None:
    """Check that there are at least `min_samples` samples for each worker.

    Raises:
        PartitionError: there are fewer.
    """
    if workers * min_samples > len(labels):
        need = f"{workers} workers need at least {workers * min_samples} samples"
        raise PartitionError(f"{need}, the training set has {len(labels)}: take fewer workers or a larger data set")


def split_contiguous(order: Indices, workers: int) -> list[Indices]:
    """Cut an index array into consecutive pieces, one for each worker, whose sizes differ by at most one."""
    return np.array_split(order, workers)
