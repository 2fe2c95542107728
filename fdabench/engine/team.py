"""The processes that hold a cell's workers between them: who holds which, and what they tell each other.

All that is said here is about the run, never a part of the method, and crosses unmetered: as tensors of bytes that a
codec makes and reads, so that nothing that arrives is run.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from fdabench.core.collective import AllReduced, Collective, RankOrdered, Stacked, crossing
from fdabench.errors import CutOffError

T = TypeVar("T")
Mean = Literal["ordered", "allreduce"]
"""Sums in the order of the ranks, to the bits of one process; or in the backend's, with its traffic."""


class Codec(Protocol):
    """Between what processes tell each other and bytes; it makes no other classes than it was told of."""

    def encoded(self, value: Any) -> bytes: ...

    def decoded(self, content: bytes) -> Any: ...


class Plain:
    """For what JSON has a form for."""

    def encoded(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def decoded(self, content: bytes) -> Any:
        return json.loads(content)


JSON = Plain()


class Team(Protocol):
    """As one process of it sees it."""

    @property
    def rank(self) -> int:
        """Who writes results has rank 0."""
        ...

    @property
    def size(self) -> int: ...

    @property
    def checked(self) -> bool:
        """Whether its processes compare what they are about to do."""
        ...

    @property
    def mean(self) -> Mean: ...

    @property
    def wire(self) -> str:
        """The interface that is read around everything that crosses; empty if none is."""
        ...

    def meet(self) -> None:
        """Wait until everybody is here."""
        ...

    def held(self, workers: int) -> range:
        """The workers that this process holds, of so many."""
        ...

    def collective(self, share_K: Tensor) -> Collective:
        """Averaging over them all, by the weights of all workers."""
        ...

    def told(self, make: Callable[[], T]) -> T:
        """What rank 0 makes, in every process."""
        ...

    def gathered(self, mine: T) -> list[T]:
        """What each process brought, in rank order; in rank 0 only, elsewhere nothing."""
        ...

    def shown(self, mine: T) -> list[T]:
        """What each process brought, in rank order, in every process."""
        ...


@dataclass(frozen=True)
class Alone:
    """One process, which holds all workers."""

    rank: int = 0
    size: int = 1
    checked: bool = False
    mean: Mean = "ordered"
    wire: str = ""

    def meet(self) -> None:
        pass

    def held(self, workers: int) -> range:
        return range(workers)

    def collective(self, share_K: Tensor) -> Collective:
        return Stacked(share_K)

    def told(self, make: Callable[[], T]) -> T:
        return make()

    def gathered(self, mine: T) -> list[T]:
        return [mine]

    def shown(self, mine: T) -> list[T]:
        return [mine]


ALONE = Alone()


@dataclass(frozen=True)
class Processes:
    """One of the default process group."""

    rank: int
    size: int
    mean: Mean = "ordered"
    checked: bool = False
    wire: str = ""
    codec: Codec = JSON

    def meet(self) -> None:
        with crossing():
            dist.barrier()

    def held(self, workers: int) -> range:
        shares = share_out(workers, self.size)
        first = sum(shares[: self.rank])
        return range(first, first + shares[self.rank])

    def collective(self, share_K: Tensor) -> Collective:
        shares = share_out(len(share_K), self.size)
        if self.mean == "ordered":
            return RankOrdered(share_K, shares)
        mine = self.held(len(share_K))
        return AllReduced(share_K[mine.start : mine.stop], shares)

    def told(self, make: Callable[[], T]) -> T:
        content = self.codec.encoded(make()) if self.rank == 0 else b""
        size = torch.tensor([len(content)])
        with crossing():
            dist.broadcast(size, 0)
            said = _as_tensor(content) if self.rank == 0 else torch.empty(int(size), dtype=torch.uint8)
            dist.broadcast(said, 0)
        answer: T = self._decoded(said)
        return answer

    def gathered(self, mine: T) -> list[T]:
        padded, sizes = self._padded(mine)
        everyones = [torch.empty_like(padded) for _ in sizes] if self.rank == 0 else None
        with crossing():
            dist.gather(padded, everyones, 0)
        return [self._decoded(each[:size]) for each, size in zip(everyones or [], sizes, strict=False)]

    def shown(self, mine: T) -> list[T]:
        padded, sizes = self._padded(mine)
        everyones = [torch.empty_like(padded) for _ in sizes]
        with crossing():
            dist.all_gather(everyones, padded)
        return [self._decoded(each[:size]) for each, size in zip(everyones, sizes, strict=True)]

    def _padded(self, mine: object) -> tuple[Tensor, list[int]]:
        """As bytes, filled up to the longest of all (the backends want as many of everybody); and how many each has."""
        content = _as_tensor(self.codec.encoded(mine))
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        with crossing():
            dist.all_gather(sizes, torch.tensor([len(content)]))
        lengths = [int(size) for size in sizes]
        return torch.nn.functional.pad(content, (0, max(lengths) - len(content))), lengths

    def _decoded(self, said: Tensor) -> Any:
        try:
            return self.codec.decoded(said.numpy().tobytes())
        except Exception as error:
            raise CutOffError(f"another process said what cannot be read: {type(error).__name__}: {error}") from error


def _as_tensor(content: bytes) -> Tensor:
    return torch.from_numpy(np.frombuffer(bytearray(content), np.uint8))


def share_out(workers: int, processes: int) -> tuple[int, ...]:
    """How many workers each process holds: as even as can be, the first ones one more."""
    each, more = divmod(workers, processes)
    return tuple(each + (rank < more) for rank in range(processes))
