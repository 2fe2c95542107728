"""Partitions by owner: all samples of a writer, a role of a play or a hospital stay at one worker."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fdabench.component_info import ComponentInfo
from fdabench.errors import PartitionError
from fdabench.hyperparameters import Count
from fdabench.partitions.base import Indices


@dataclass(frozen=True)
class Natural:
    """The samples of an owner are at one worker, as in federated learning between people or institutions.

    `workers = "group"`: the owners in a random order are dealt out, each to the worker that has the fewest samples so
    far, so the workers have about equally many samples. `workers = "owners"`: each worker has the samples of one owner,
    drawn at random without replacement; the other owners are not used. Owners with fewer than `min_samples` training
    samples are not used.
    """

    workers: Literal["group", "owners"] = "group"
    min_samples: Count = 1
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Natural", formula="all samples of an owner belong to one worker", references=("caldas2018",)
    )
    split_by: ClassVar[Literal["owners"]] = "owners"

    def split(self, labels: Indices, workers: int, rng: np.random.Generator) -> list[Indices]:
        """Split the training set; `labels` has the owner of each sample."""
        owners, sizes = np.unique(labels, return_counts=True)
        eligible = owners[sizes >= self.min_samples]
        if len(eligible) < workers:
            least = "" if self.min_samples == 1 else f" with min_samples = {self.min_samples}"
            raise PartitionError(
                f"{workers} workers need as many owners, and the training set has {len(eligible)}{least}: use fewer "
                f"workers{' or a smaller min_samples' if least else ''}"
            )
        order = rng.permutation(eligible)
        worker_of = np.full(int(owners.max()) + 1, -1, dtype=np.int64)
        if self.workers == "owners":
            worker_of[order[:workers]] = np.arange(workers)
        else:
            worker_of[order] = _deal(sizes[np.searchsorted(owners, order)], workers)
        return [np.flatnonzero(worker_of[labels] == k) for k in range(workers)]


def _deal(sizes: Indices, workers: int) -> Indices:
    """The worker of each owner: the one with the fewest samples so far, and among equals the first."""
    load = np.zeros(workers, dtype=np.int64)
    dealt = np.empty(len(sizes), dtype=np.int64)
    for place, size in enumerate(sizes):
        dealt[place] = load.argmin()
        load[dealt[place]] += size
    return dealt
