"""What a partition is: who holds which training samples."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fdabench.errors import PartitionError

Indices = NDArray[np.int64]


class Partition(Protocol):
    """A rule that shares samples out. Frozen; all randomness comes from `rng`."""

    def split(self, labels: Indices, workers: int, rng: np.random.Generator) -> list[Indices]:
        """Index arrays, one for each worker: disjoint, together all of `labels`. Who runs a cell refuses empty ones.

        Raises:
            PartitionError: it cannot be done; the message says what would help.
        """
        ...


def require_samples(labels: Indices, workers: int, each: int = 1) -> None:
    """
    Raises:
        PartitionError: fewer samples than the workers need.
    """
    if workers * each > len(labels):
        need = f"{workers} workers need at least {workers * each} samples"
        raise PartitionError(f"{need}, the training set has {len(labels)}: take fewer workers or a larger data set")


def split_contiguous(order: Indices, workers: int) -> list[Indices]:
    """Consecutive pieces whose sizes differ by at most one."""
    return np.array_split(order, workers)
