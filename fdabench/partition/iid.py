"""Partitions without heterogeneity: shuffled, or in the order of the file as the FDA paper has it."""

from dataclasses import dataclass

import numpy as np

from fdabench.partition.base import Indices, check_enough, contiguous


@dataclass(frozen=True)
class Iid:
    """Shuffle the training set by the seed, then cut it into consecutive pieces."""

    def split(self, labels: Indices, workers: int, rng: np.random.Generator) -> list[Indices]:
        check_enough(labels, workers)
        return contiguous(rng.permutation(len(labels)), workers)


@dataclass(frozen=True)
class FileOrder:
    """The paper's IID: the training set in its original order, cut into consecutive pieces."""

    def split(self, labels: Indices, workers: int, rng: np.random.Generator) -> list[Indices]:
        check_enough(labels, workers)
        return contiguous(np.arange(len(labels)), workers)
