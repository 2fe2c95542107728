"""Averaging over all workers, wherever they are. Shape suffixes: K = workers held here, D = numbers in each row.

`share_K` are the averaging weights of the workers held here: 1/K each, or each worker's share of the samples. They sum
to one over all workers. Everything is a float tensor on one device; the result is equal in every process.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from fdabench.core.row_sums import aligned_copy
from fdabench.errors import ProcessLostError


class Collective(Protocol):
    """Unmetered averaging. Strategies never see one: they are handed a `Channel`."""

    @property
    def num_workers(self) -> int: ...

    def mean(self, x_KD: Tensor) -> Tensor:
        """sum_k share_k x_k over all workers, shape [D]."""
        ...

    def all_gather(self, x_KD: Tensor) -> Tensor:
        """The rows of all workers, in their order."""
        ...


@dataclass(frozen=True)
class InProcessCollective:
    """All workers are rows of this process."""

    weight_K: Tensor

    @property
    def num_workers(self) -> int:
        return len(self.weight_K)

    def mean(self, x_KD: Tensor) -> Tensor:
        return self.weight_K @ aligned_copy(x_KD)

    def all_gather(self, x_KD: Tensor) -> Tensor:
        return x_KD


@dataclass(frozen=True)
class AllReduceCollective:
    """Some rows are here, the others in the processes of the default group; the sum's order is the backend's.

    `held` is how many rows each rank holds, in rank order.
    """

    weight_K: Tensor
    rows_per_rank: tuple[int, ...]

    @property
    def num_workers(self) -> int:
        return sum(self.rows_per_rank)

    def mean(self, x_KD: Tensor) -> Tensor:
        total_D = self.weight_K @ aligned_copy(x_KD)
        with translate_dist_errors():
            dist.all_reduce(total_D)
        return total_D

    def all_gather(self, x_KD: Tensor) -> Tensor:
        return _all_gather_rows(x_KD, self.rows_per_rank)


@dataclass(frozen=True)
class AllGatherCollective:
    """Every process gathers all rows and sums them in rank order: bitwise equal to `InProcessCollective`.

    `share_K` has the weights of all workers, `held` how many rows each rank holds, in rank order.
    """

    weight_K: Tensor
    rows_per_rank: tuple[int, ...]

    @property
    def num_workers(self) -> int:
        return sum(self.rows_per_rank)

    def mean(self, x_KD: Tensor) -> Tensor:
        return self.weight_K @ self.all_gather(x_KD)

    def all_gather(self, x_KD: Tensor) -> Tensor:
        return _all_gather_rows(x_KD, self.rows_per_rank)


def _all_gather_rows(x_KD: Tensor, held: tuple[int, ...]) -> Tensor:
    # the backends want as many rows from everybody
    padded_KD = torch.nn.functional.pad(x_KD, (0, 0, 0, max(held) - len(x_KD)))
    gathered = [torch.empty_like(padded_KD) for _ in held]
    with translate_dist_errors():
        dist.all_gather(gathered, padded_KD)
    return torch.cat([rows[:count] for rows, count in zip(gathered, held, strict=True)])


@contextmanager
def translate_dist_errors() -> Iterator[None]:
    """
    Raises:
        ProcessLostError: another process is gone, or was not heard of in time; the backends have no error of their own.
    """
    try:
        yield
    except RuntimeError as error:
        raise ProcessLostError(f"cut off from another process: {error}") from error
