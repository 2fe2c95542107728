"""Encodes the state of a cell as bytes, for a file or another process: a version, a tree as JSON, and tensors.

    fdabench state 2
    length of the JSON, 8 bytes, little-endian
    {"tree": ..., "tensors": [{"dtype": "float32", "shape": [5, 2592202], "order": [0, 1], "place": "cpu"}, ...]}
    the numbers of each tensor, in the order in which they are in memory

The format contains no code. It can only name classes that `serialize.RecordTypes` allows.
"""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from fdabench.cell_config import CellConfig
from fdabench.component_info import STRATEGY_ROLES
from fdabench.experiment.checkpoint.serialize import (
    NotSerializableError,
    PlainState,
    RecordTypes,
    from_plain,
    records_for,
    to_plain,
)
from fdabench.registry.registry import Registry
from fdabench.suite.components.use import components_used

FORMAT_VERSION = b"fdabench state 2\n"
_LENGTH, _CPU, _DEVICE = 8, "cpu", "device"
_DTYPES: Mapping[str, torch.dtype] = {
    "bool": torch.bool,
    "uint8": torch.uint8,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "int64": torch.int64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
    "complex64": torch.complex64,
    "complex128": torch.complex128,
}


class Sink(Protocol):
    """A binary file that is written."""

    def write(self, content: bytes | memoryview, /) -> object: ...


class Source(Protocol):
    """A binary file that is read."""

    def read(self, size: int, /) -> bytes: ...

    def readinto(self, content: Any, /) -> int | None: ...


class StateCodec(NamedTuple):
    """Encodes and decodes the states of one cell."""

    records: RecordTypes
    device: torch.device
    """The device of this process: tensors that were on an accelerator are moved there, the others stay on the CPU."""

    def encode(self, value: object) -> bytes:
        """Encode a state.

        Raises:
            NotSerializableError: as `to_plain`.
        """
        sink = BytesIO()
        write(sink, to_plain(value, self.records))
        return sink.getvalue()

    def decode(self, content: bytes) -> Any:
        """Decode a state.

        Raises:
            NotSerializableError, LookupError, TypeError, ValueError: `content` is not the result of `encode`.
        """
        return from_plain(read(BytesIO(content), len(content), self.device), self.records)


def codec_for(config: CellConfig, registry: Registry, device: torch.device) -> StateCodec:
    """Return the codec for the states of a cell.

    Args:
        config: of the cell.
        registry: the components that it names.
        device: of this process.
    """
    return StateCodec(records_for(kinds_of(config, registry)), device)


def kinds_of(config: CellConfig, registry: Registry) -> list[type]:
    """Return the classes of the components of a cell that have a state, such as its strategy and its optimizer."""
    roles = (*STRATEGY_ROLES, "optimizers")
    components = [(role, name) for role, name in components_used(config, registry) if role in roles]
    return [getattr(registry, role)[name] for role, name in components]


def write(sink: Sink, packed: PlainState) -> None:
    """Write a state. Contiguous tensors on the CPU are not copied.

    Raises:
        NotSerializableError: a tensor has a dtype that the format does not support.
    """
    orders = [_order(x) for x in packed.tensors]
    headers = [_about(x, order) for x, order in zip(packed.tensors, orders, strict=True)]
    header = json.dumps({"tree": packed.tree, "tensors": headers}).encode()
    sink.write(FORMAT_VERSION)
    sink.write(len(header).to_bytes(_LENGTH, "little"))
    sink.write(header)
    for x, order in zip(packed.tensors, orders, strict=True):
        if x.numel():
            sink.write(_bytes_of(x.permute(order).contiguous().cpu()))


def read(source: Source, size: int, device: torch.device) -> PlainState:
    """Read a state of `size` bytes, which is the whole file.

    Raises:
        ValueError, LookupError, TypeError: it is truncated, or is not the result of `write`.
    """
    left = size - len(FORMAT_VERSION) - _LENGTH
    if source.read(len(FORMAT_VERSION)) != FORMAT_VERSION:
        raise ValueError("it is no state that this fdabench writes")
    length = int.from_bytes(source.read(_LENGTH), "little")
    if length > left:
        raise ValueError("it is cut short")
    header = json.loads(source.read(length))
    left -= length
    tensors = []
    for tensor in header["tensors"]:
        dtype, shape, order = _DTYPES[tensor["dtype"]], tensor["shape"], tensor["order"]
        if not all(type(extent) is int and extent >= 0 for extent in shape) or sorted(order) != list(range(len(shape))):
            raise ValueError(f"a tensor of the shape {shape!r:.60}, with its axes as in {order!r:.60}")
        count = 1
        for extent in shape:
            count *= extent
        left -= count * dtype.itemsize
        if left < 0:
            raise ValueError("it is cut short")
        as_stored = torch.empty([shape[axis] for axis in order], dtype=dtype)
        if count and source.readinto(_bytes_of(as_stored)) != as_stored.nbytes:
            raise ValueError("it is cut short")
        x = as_stored.permute([order.index(axis) for axis in range(len(shape))])
        tensors.append(x if tensor["place"] == _CPU else x.to(device))
    if left:
        raise ValueError(f"{left} bytes too many")
    return PlainState(header["tree"], tensors)


def _about(x: Tensor, order: list[int]) -> dict[str, object]:
    dtype = str(x.dtype).removeprefix("torch.")
    if dtype not in _DTYPES:
        raise NotSerializableError(f"a tensor of {dtype}")
    return {
        "dtype": dtype,
        "shape": list(x.shape),
        "order": order,
        "place": _CPU if x.is_cpu else _DEVICE,
    }


def _order(x: Tensor) -> list[int]:
    """The order of the axes in memory. It is restored on reading, so that sums over the tensor have the same bits."""
    strides = x.stride()
    order = sorted(range(x.dim()), key=lambda axis: -strides[axis])
    return order if x.permute(order).is_contiguous() else list(range(x.dim()))


def _bytes_of(x: Tensor) -> memoryview:
    return memoryview(x.reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]
