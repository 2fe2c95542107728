"""The processes that hold the workers of a cell: which rank has which, and messages between them.

These messages belong to the run, not to the method, so they are not metered. They are tensors of bytes that a codec
encodes and decodes, so nothing that a rank receives is executed.
"""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from fdabench.core.collective import (
    AllGatherCollective,
    AllReduceCollective,
    Collective,
    InProcessCollective,
    translate_dist_errors,
)
from fdabench.errors import ProcessLostError

_LENGTH = struct.Struct("<q")
_INLINE_BYTES = 248
"""The longest content that a broadcast sends together with its length."""

T = TypeVar("T")
Reduction = Literal["ordered", "allreduce"]
"""`ordered`: sums in rank order, with the bits of one process. `allreduce`: the sums and traffic of the backend."""


class ValueCodec(Protocol):
    """Encodes messages as bytes and decodes them; it builds only classes of its allow-list."""

    def encode(self, value: object) -> bytes: ...

    def decode(self, content: bytes) -> object: ...


class JsonCodec:
    """A codec for values that JSON can hold."""

    def encode(self, value: object) -> bytes:
        return json.dumps(value).encode()

    def decode(self, content: bytes) -> object:
        return json.loads(content)


JSON = JsonCodec()


class ProcessGroup(Protocol):
    """The process group, from the side of one rank."""

    @property
    def rank(self) -> int:
        """The rank of this process; rank 0 writes results."""
        ...

    @property
    def size(self) -> int: ...

    @property
    def check_consistency(self) -> bool:
        """Whether the ranks compare each collective before they start it."""
        ...

    @property
    def reduction(self) -> Reduction: ...

    @property
    def network_interface(self) -> str:
        """The network interface whose counters are read around each collective; empty: none."""
        ...

    def barrier(self) -> None:
        """Wait until all ranks have called this."""
        ...

    def local_workers(self, workers: int) -> range:
        """The indices of the workers that this process holds."""
        ...

    def make_collective(self, share_K: Tensor) -> Collective:
        """The collective that averages over all workers, given their weights."""
        ...

    def broadcast(self, make: Callable[[], T]) -> T:
        """The value of rank 0, in every rank."""
        ...

    def gather(self, value: T) -> list[T]:
        """The value of each rank, in rank order; in rank 0 only, an empty list elsewhere."""
        ...

    def all_gather(self, value: T) -> list[T]:
        """The value of each rank, in rank order, in every rank."""
        ...


@dataclass(frozen=True)
class SingleProcess:
    """A single process, which holds all workers."""

    rank: int = 0
    size: int = 1
    check_consistency: bool = False
    reduction: Reduction = "ordered"
    network_interface: str = ""

    def barrier(self) -> None:
        pass

    def local_workers(self, workers: int) -> range:
        return range(workers)

    def make_collective(self, share_K: Tensor) -> Collective:
        return InProcessCollective(share_K)

    def broadcast(self, make: Callable[[], T]) -> T:
        return make()

    def gather(self, value: T) -> list[T]:
        return [value]

    def all_gather(self, value: T) -> list[T]:
        return [value]


SINGLE_PROCESS = SingleProcess()


@dataclass(frozen=True)
class TorchProcessGroup:
    """A rank of torch's default process group."""

    rank: int
    size: int
    reduction: Reduction = "ordered"
    check_consistency: bool = False
    network_interface: str = ""
    codec: ValueCodec = JSON

    def barrier(self) -> None:
        with translate_dist_errors():
            dist.barrier()

    def local_workers(self, workers: int) -> range:
        shares = split_evenly(workers, self.size)
        first = sum(shares[: self.rank])
        return range(first, first + shares[self.rank])

    def make_collective(self, share_K: Tensor) -> Collective:
        shares = split_evenly(len(share_K), self.size)
        kind = AllGatherCollective if self.reduction == "ordered" else AllReduceCollective
        return kind(share_K, shares, self.rank)

    def broadcast(self, make: Callable[[], T]) -> T:
        content = self.codec.encode(make()) if self.rank == 0 else b""
        packet = _first_packet(content)
        with translate_dist_errors():
            dist.broadcast(packet, 0)
            size, buffer = _unpack(packet)
            if size > len(buffer):
                buffer = _as_tensor(content) if self.rank == 0 else torch.empty(size, dtype=torch.uint8)
                dist.broadcast(buffer, 0)
        result: T = self._decode(buffer)
        return result

    def gather(self, value: T) -> list[T]:
        padded, sizes = self._pad(value)
        buffers = [torch.empty_like(padded) for _ in sizes] if self.rank == 0 else None
        with translate_dist_errors():
            dist.gather(padded, buffers, 0)
        return [self._decode(message[:size]) for message, size in zip(buffers or [], sizes, strict=False)]

    def all_gather(self, value: T) -> list[T]:
        padded, sizes = self._pad(value)
        buffers = [torch.empty_like(padded) for _ in sizes]
        with translate_dist_errors():
            dist.all_gather(buffers, padded)
        return [self._decode(message[:size]) for message, size in zip(buffers, sizes, strict=True)]

    def _pad(self, value: object) -> tuple[Tensor, list[int]]:
        """Bytes padded to the longest message of all ranks, because backends need equal sizes; and the sizes."""
        content = _as_tensor(self.codec.encode(value))
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        with translate_dist_errors():
            dist.all_gather(sizes, torch.tensor([len(content)]))
        lengths = [int(size) for size in sizes]
        return torch.nn.functional.pad(content, (0, max(lengths) - len(content))), lengths

    def _decode(self, buffer: Tensor) -> Any:
        try:
            return self.codec.decode(buffer.numpy().tobytes())
        except Exception as error:
            raise ProcessLostError(
                f"a message of another rank cannot be decoded: {type(error).__name__}: {error}"
            ) from error


def _as_tensor(content: bytes) -> Tensor:
    return torch.from_numpy(np.frombuffer(bytearray(content), np.uint8))


def _first_packet(content: bytes) -> Tensor:
    """The length of the content and, if it fits, the content: a short message then needs a single broadcast."""
    inline = content if len(content) <= _INLINE_BYTES else b""
    return _as_tensor(_LENGTH.pack(len(content)) + inline.ljust(_INLINE_BYTES, b"\0"))


def _unpack(packet: Tensor) -> tuple[int, Tensor]:
    """The length of the content, and the content or, if it does not fit, an empty tensor."""
    (size,) = _LENGTH.unpack(packet[: _LENGTH.size].numpy().tobytes())
    return size, packet[_LENGTH.size :][: size if size <= _INLINE_BYTES else 0]


def split_evenly(workers: int, processes: int) -> tuple[int, ...]:
    """The number of workers of each rank: as equal as possible, the first ranks have one more."""
    quotient, remainder = divmod(workers, processes)
    return tuple(quotient + (rank < remainder) for rank in range(processes))
