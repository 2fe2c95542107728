"""Averaging over all workers, wherever they are. Shape suffixes: K = workers held here, D = numbers in each row.

`share_K` are the averaging weights: 1/K each, or each worker's share of the samples. They sum to one over all
workers. Everything is a float tensor on one device; the result is equal in every process.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor


class Collective(Protocol):
    """Unmetered averaging. Strategies never see one: they are handed a `Channel`."""

    @property
    def num_workers(self) -> int: ...

    def mean(self, x_KD: Tensor) -> Tensor:
        """sum_k share_k x_k over all workers, shape [D]."""
        ...


@dataclass(frozen=True)
class Stacked:
    """All workers are rows of this process."""

    share_K: Tensor

    @property
    def num_workers(self) -> int:
        return len(self.share_K)

    def mean(self, x_KD: Tensor) -> Tensor:
        return self.share_K @ x_KD


@dataclass(frozen=True)
class AllReduced:
    """Some rows are here, the others in the processes of the default group; the sum's order is the backend's."""

    share_K: Tensor
    num_workers: int

    def mean(self, x_KD: Tensor) -> Tensor:
        total_D = self.share_K @ x_KD
        dist.all_reduce(total_D)
        return total_D


@dataclass(frozen=True)
class RankOrdered:
    """As `AllReduced`, but every process gathers all rows and sums them in order: bitwise equal to `Stacked`.

    `share_K` has the weights of all workers, `held` how many rows each rank holds, in rank order.
    """

    share_K: Tensor
    held: tuple[int, ...]

    @property
    def num_workers(self) -> int:
        return len(self.share_K)

    def mean(self, x_KD: Tensor) -> Tensor:
        most = max(self.held)
        padded_KD = torch.nn.functional.pad(x_KD, (0, 0, 0, most - len(x_KD)))
        gathered = [torch.empty_like(padded_KD) for _ in self.held]
        dist.all_gather(gathered, padded_KD)
        return self.share_K @ torch.cat([rows[:count] for rows, count in zip(gathered, self.held, strict=True)])
