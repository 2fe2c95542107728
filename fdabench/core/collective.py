"""Unmetered averaging over the workers of one process or of several.

Shape suffixes: K = workers of this process, N = workers of all processes, D = numbers in each row.

Averaging weights are 1 / number of workers each, or each worker's fraction of the samples. They sum to one over all
workers. Inputs are float tensors on one device. The result is equal in every process.
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
    """Averages and gathers rows, without recording them. Strategies use a `Channel` instead.

    Every process must call the same methods in the same order. Both methods raise ProcessLostError when another process
    does not respond.
    """

    @property
    def num_workers(self) -> int:
        """The number of workers in all processes."""
        ...

    @property
    def local_rows(self) -> slice:
        """The workers of this process among those of all processes."""
        ...

    def mean(self, x_KD: Tensor) -> Tensor:
        """sum_k weight_k x_k over all workers, shape [D]."""
        ...

    def weighted_sum(self, x_ND: Tensor) -> Tensor:
        """sum_n weight_n x_n, given the rows of all workers in each process, shape [num_workers, D]; sends nothing."""
        ...

    def all_gather(self, x_KD: Tensor) -> Tensor:
        """The rows of all workers in worker order, shape [num_workers, D]."""
        ...


@dataclass(frozen=True)
class InProcessCollective:
    """Averages over workers that are all in this process.

    Args:
        weight_K: the averaging weights of all workers.
    """

    weight_K: Tensor

    @property
    def num_workers(self) -> int:
        return len(self.weight_K)

    @property
    def local_rows(self) -> slice:
        return slice(0, len(self.weight_K))

    def mean(self, x_KD: Tensor) -> Tensor:
        return self.weight_K @ aligned_copy(x_KD)

    def weighted_sum(self, x_ND: Tensor) -> Tensor:
        return self.weight_K @ aligned_copy(x_ND)

    def all_gather(self, x_KD: Tensor) -> Tensor:
        return x_KD


@dataclass(frozen=True)
class AllReduceCollective:
    """Averages over a process group by `all_reduce`; the backend chooses the order of the sum.

    Args:
        weight_N: the averaging weights of the workers of all processes.
        rows_per_rank: the number of workers of each rank, in rank order.
        rank: of this process.
        group: the process group; None: the default one.
    """

    weight_N: Tensor
    rows_per_rank: tuple[int, ...]
    rank: int
    group: dist.ProcessGroup | None = None

    @property
    def num_workers(self) -> int:
        return len(self.weight_N)

    @property
    def local_rows(self) -> slice:
        return _rows_of_rank(self.rows_per_rank, self.rank)

    def mean(self, x_KD: Tensor) -> Tensor:
        total_D = self.weight_N[self.local_rows] @ aligned_copy(x_KD)
        with translate_dist_errors():
            dist.all_reduce(total_D, group=self.group)
        return total_D

    def weighted_sum(self, x_ND: Tensor) -> Tensor:
        return self.weight_N @ aligned_copy(x_ND)

    def all_gather(self, x_KD: Tensor) -> Tensor:
        return _all_gather_rows(x_KD, self.rows_per_rank, self.group)


@dataclass(frozen=True)
class AllGatherCollective:
    """Averages over a process group: gathers all rows and sums them in rank order.

    The result is bitwise equal to that of `InProcessCollective`.

    Args:
        weight_N: the averaging weights of the workers of all processes.
        rows_per_rank: the number of workers of each rank, in rank order.
        rank: of this process.
        group: the process group; None: the default one.
    """

    weight_N: Tensor
    rows_per_rank: tuple[int, ...]
    rank: int
    group: dist.ProcessGroup | None = None

    @property
    def num_workers(self) -> int:
        return len(self.weight_N)

    @property
    def local_rows(self) -> slice:
        return _rows_of_rank(self.rows_per_rank, self.rank)

    def mean(self, x_KD: Tensor) -> Tensor:
        return self.weight_N @ self.all_gather(x_KD)

    def weighted_sum(self, x_ND: Tensor) -> Tensor:
        return self.weight_N @ aligned_copy(x_ND)

    def all_gather(self, x_KD: Tensor) -> Tensor:
        return _all_gather_rows(x_KD, self.rows_per_rank, self.group)


def _rows_of_rank(rows_per_rank: tuple[int, ...], rank: int) -> slice:
    first = sum(rows_per_rank[:rank])
    return slice(first, first + rows_per_rank[rank])


def _all_gather_rows(x_KD: Tensor, rows_per_rank: tuple[int, ...], group: dist.ProcessGroup | None) -> Tensor:
    # `all_gather` needs tensors of the same shape from all ranks
    padded_KD = torch.nn.functional.pad(x_KD, (0, 0, 0, max(rows_per_rank) - len(x_KD)))
    outputs = [torch.empty_like(padded_KD) for _ in rows_per_rank]
    with translate_dist_errors():
        dist.all_gather(outputs, padded_KD, group=group)
    return torch.cat([rows[:count] for rows, count in zip(outputs, rows_per_rank, strict=True)])


@contextmanager
def translate_dist_errors() -> Iterator[None]:
    """Convert errors of `torch.distributed` collectives, which raise a plain RuntimeError.

    Raises:
        ProcessLostError: another process exited, or did not respond within the timeout.
    """
    try:
        yield
    except RuntimeError as error:
        raise ProcessLostError(f"cut off from another process: {error}") from error
