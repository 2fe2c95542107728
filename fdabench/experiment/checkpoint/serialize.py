"""Converts the state of a cell to plain containers, numbers, text and tensors, and back.

Records (dataclasses and named tuples, such as a round or the state of a plug-in's server) are stored by their fields
and the name of their class. Only classes of an allow-list are stored and built again: fdabench's own records, and those
of the modules that the cell's components are defined in. Reading imports and runs nothing.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from fractions import Fraction
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fdabench.core.ledger import LedgerEntry
from fdabench.core.strategy import Round
from fdabench.distributed.traffic_meter import CollectiveTraffic
from fdabench.engine.clients import ClientState
from fdabench.engine.evaluate import EvalMetrics
from fdabench.engine.loop import TrainingState
from fdabench.engine.workers import WorkerGroupState
from fdabench.experiment.checkpoint.state import CheckpointState

OWN_PACKAGE: tuple[type, ...] = (
    CheckpointState,
    TrainingState,
    WorkerGroupState,
    ClientState,
    Round,
    LedgerEntry,
    EvalMetrics,
    CollectiveTraffic,
)
_PLAIN_TYPES = (type(None), bool, int, float, str)


class NotSerializableError(Exception):
    """A state contains a value that cannot be stored, or was stored by other code."""


class PlainState(NamedTuple):
    """`tree` is JSON; it refers to tensors by their index in `tensors`."""

    tree: Any
    tensors: list[Tensor]


@dataclass(frozen=True)
class RecordTypes:
    """The allow-list of record classes."""

    built_in: Mapping[str, type]
    packages: frozenset[str] = frozenset()
    """Names of the top-level packages or modules of plug-ins' components."""

    def find(self, path: str) -> type | None:
        """The class of this name, if it is allowed and its module is loaded."""
        if path in self.built_in:
            return self.built_in[path]
        module, _, name = path.partition(":")
        if module.split(".")[0] not in self.packages:
            return None
        try:
            kind = attrgetter(name)(sys.modules[module])
        except (KeyError, AttributeError):
            return None
        # a class that the module only imports is not allowed
        return kind if isinstance(kind, type) and _path(kind) == path and _names(kind) is not None else None


def records_for(components: Iterable[type]) -> RecordTypes:
    """Return the allow-list: the records of fdabench, and those of the packages that define these components."""
    homes = {kind.__module__.split(".")[0] for kind in components}
    return RecordTypes({_path(kind): kind for kind in OWN_PACKAGE}, frozenset(homes - {"fdabench", "builtins"}))


def to_plain(value: object, records: RecordTypes) -> PlainState:
    """Convert a state to plain values.

    Raises:
        NotSerializableError: the state contains a type that cannot be stored, which the message names.
    """
    packer = _Packer(records)
    return PlainState(packer.to_plain(value), packer.tensors)


def from_plain(packed: PlainState, records: RecordTypes) -> Any:
    """Convert plain values back to a state.

    Raises:
        NotSerializableError: a class is not allowed, does not exist any more, or has other fields.
        LookupError, TypeError, ValueError: `packed` is not the result of `to_plain`.
    """
    return _Unpacker(records, packed.tensors).from_plain(packed.tree)


@dataclass
class _Packer:
    records: RecordTypes
    tensors: list[Tensor] = field(default_factory=list)
    _places: dict[tuple[object, ...], int] = field(default_factory=dict)

    def to_plain(self, value: object) -> object:
        kind = type(value)
        if kind in _PLAIN_TYPES:
            return value
        if kind in _PACKERS:
            return _PACKERS[kind](self, value)
        if isinstance(value, np.generic):
            return {"number": self.array(np.asarray(value))}
        if _names(kind) is None:
            raise NotSerializableError(f"a {kind.__module__}.{kind.__qualname__}")
        if self.records.find(_path(kind)) is not kind:
            raise NotSerializableError(
                f"a {_path(kind)}, which is not at the top of a module of fdabench's states or of the cell's plug-ins"
            )
        return {
            "record": _path(kind),
            "fields": {name: self.to_plain(getattr(value, name)) for name in _names(kind) or ()},
        }

    def tensor(self, x: Tensor) -> object:
        """Store a tensor once, even if the state contains it several times."""
        if x.layout is not torch.strided or x.is_quantized:
            raise NotSerializableError(f"a tensor of the layout {str(x.layout).removeprefix('torch.')}")
        key = (x.data_ptr(), x.dtype, x.shape, x.stride(), x.device) if x.numel() else (len(self.tensors),)
        if key not in self._places:
            self._places[key] = len(self.tensors)
            self.tensors.append(x.detach().resolve_conj().resolve_neg())
        return {"tensor": self._places[key]}

    def array(self, x: Any) -> Any:
        """Store an array of NumPy as a tensor of its bytes, with its dtype and shape."""
        if x.dtype.hasobject or x.dtype.names:
            raise NotSerializableError("an array of Python objects or of records")
        flat = np.frombuffer(bytearray(x.tobytes()), np.uint8) if x.nbytes else np.empty(0, np.uint8)
        self.tensors.append(torch.from_numpy(flat))
        return [x.dtype.str, list(x.shape), len(self.tensors) - 1]


_PACKERS: Mapping[type, Callable[[_Packer, Any], Any]] = {
    Tensor: _Packer.tensor,
    list: lambda packer, value: [packer.to_plain(item) for item in value],
    tuple: lambda packer, value: {"tuple": [packer.to_plain(item) for item in value]},
    dict: lambda packer, value: {
        "dict": [[packer.to_plain(key), packer.to_plain(item)] for key, item in value.items()]
    },
    np.ndarray: lambda packer, value: {"array": packer.array(value)},
    Fraction: lambda packer, value: {"fraction": [value.numerator, value.denominator]},
}


@dataclass(frozen=True)
class _Unpacker:
    records: RecordTypes
    tensors: Sequence[Tensor]

    def from_plain(self, packed: Any) -> Any:
        if isinstance(packed, list):
            return [self.from_plain(value) for value in packed]
        if not isinstance(packed, dict):
            return packed
        if packed.keys() == {"record", "fields"}:
            return self.make_record(packed["record"], packed["fields"])
        ((tag, content),) = packed.items()
        return _UNPACKERS[tag](self, content)

    def tensor(self, place: object) -> Tensor:
        if type(place) is not int or place < 0:
            raise ValueError(f"{place!r:.60} is no tensor's place")
        return self.tensors[place]

    def array(self, content: Any) -> Any:
        dtype, shape, place = content
        flat = self.tensor(place)
        if flat.dtype != torch.uint8 or flat.dim() != 1 or np.dtype(dtype).hasobject:
            raise ValueError(f"an array of {dtype!r:.60} that was not stored as bytes")
        return flat.numpy().view(np.dtype(dtype)).reshape(shape).copy()

    def make_record(self, path: object, stored: object) -> object:
        """Build a record from its fields, without a call of its constructor."""
        kind = self.records.find(path) if isinstance(path, str) else None
        if kind is None or not isinstance(stored, dict) or set(_names(kind) or ()) != set(stored):
            names = ", ".join(stored) if isinstance(stored, dict) else repr(stored)
            raise NotSerializableError(f"a {path!r:.80} with the fields {names:.200}")
        values = {name: self.from_plain(packed) for name, packed in stored.items()}
        if issubclass(kind, tuple):
            return tuple.__new__(kind, [values[name] for name in _names(kind) or ()])
        record = object.__new__(kind)
        for name, value in values.items():
            # without calling the constructor, which may change values; the class may be frozen
            object.__setattr__(record, name, value)
        return record


_UNPACKERS: Mapping[str, Callable[[_Unpacker, Any], Any]] = {
    "tensor": _Unpacker.tensor,
    "tuple": lambda unpacker, content: tuple(unpacker.from_plain(item) for item in content),
    "dict": lambda unpacker, content: {unpacker.from_plain(key): unpacker.from_plain(value) for key, value in content},
    "array": _Unpacker.array,
    "number": lambda unpacker, content: unpacker.array(content)[()],
    "fraction": lambda unpacker, content: Fraction(*content),
}


def _names(kind: type) -> tuple[str, ...] | None:
    """The fields of a dataclass or a named tuple; None for any other class."""
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind))
    return getattr(kind, "_fields", None) if issubclass(kind, tuple) else None


def _path(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"
