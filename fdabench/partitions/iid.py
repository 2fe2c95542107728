"""Partitions that do not look at labels: shuffled, or by the place in the file as the FDA paper's authors did."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fdabench.component_info import ComponentInfo
from fdabench.partitions.base import Indices, require_samples, split_contiguous


@dataclass(frozen=True)
class Iid:
    """Shuffle the training set by the seed, then cut it into consecutive pieces."""

    info: ClassVar[ComponentInfo] = ComponentInfo(name="IID", is_iid=True)

    def split(self, labels: Indices, workers: int, rng: np.random.Generator) -> list[Indices]:
        require_samples(labels, workers)
        return split_contiguous(rng.permutation(len(labels)), workers)


@dataclass(frozen=True)
class IidFileOrder:
    """The training set in its original order, cut into consecutive pieces.

    The IID of the paper's runs on CIFAR and of its FedAdam (authors' code since November 2023), and of their Label and
    `X %` partitions what is left; of LeNet-5's other runs it is `RoundRobin`.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(name="IID in file order")

    def split(self, labels: Indices, workers: int, rng: np.random.Generator) -> list[Indices]:
        require_samples(labels, workers)
        return split_contiguous(np.arange(len(labels)), workers)


@dataclass(frozen=True)
class RoundRobin:
    """Sample n goes to worker n mod K, as `tf.data`'s `shard(K, k)` gives it.

    The IID of the paper's LeNet-5 runs of FDA, GM and Synchronous, and of most of its VGG16* (authors' code until
    November 2023). MNIST's training file alternates between two groups of writers, so where K is even each worker has
    samples of one group only: the workers are not alike, and FDA synchronizes more often.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Round robin", formula="sample n belongs to worker n mod K", references=("theologitis2025",)
    )

    def split(self, labels: Indices, workers: int, rng: np.random.Generator) -> list[Indices]:
        require_samples(labels, workers)
        return [np.arange(k, len(labels), workers) for k in range(workers)]
