"""A course's state as plain containers, numbers, text and tensors, which torch stores and reads without pickled code.

Records (dataclasses and named tuples, such as a round or the state of somebody's own server) are stored by their
fields and the name of their class, which has to be loaded already when they are read: reading imports and runs nothing.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor

_AS_THEY_ARE = (type(None), bool, int, float, str)


class UnstorableError(Exception):
    """A state that has something in it for which there is no form on disk, or that was stored by other code."""


def pack(value: Any) -> Any:
    """
    Raises:
        UnstorableError: names the type that cannot be stored.
    """
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind in _PACKERS:
        return _PACKERS[kind](value)
    if isinstance(value, np.generic):
        return {"number": _array(np.asarray(value))}
    if _names(kind) is None:
        raise UnstorableError(f"a {kind.__module__}.{kind.__qualname__}")
    if _loaded(_path(kind)) is not kind:
        raise UnstorableError(f"a {_path(kind)}, which is not at the top of a module")
    return {"record": _path(kind), "fields": {name: pack(getattr(value, name)) for name in _names(kind) or ()}}


def unpack(packed: Any) -> Any:
    """
    Raises:
        UnstorableError: a class is gone, or has other fields than it had.
    """
    if isinstance(packed, list):
        return [unpack(each) for each in packed]
    if not isinstance(packed, dict):
        return packed
    (tag, content), *rest = packed.items()
    return _record(content, dict(rest)["fields"]) if tag == "record" else _UNPACKERS[tag](content)


def _tensor(x: Tensor) -> Tensor:
    # a view would be stored with all that it is a part of
    part = x.untyped_storage().nbytes() > x.numel() * x.element_size()
    return x.detach().clone() if part else x.detach()


def _array(x: Any) -> Any:
    if x.dtype.hasobject:
        raise UnstorableError("an array of Python objects")
    flat = np.frombuffer(bytearray(x.tobytes() or b"\0"), np.uint8)
    return [x.dtype.str, list(x.shape), torch.from_numpy(flat)]


def _to_array(content: Any) -> Any:
    dtype, shape, flat = content
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return flat.numpy()[:size].view(dtype).reshape(shape).copy()


def _pairs(value: Mapping[Any, Any]) -> Any:
    return {"dict": [[pack(key), pack(each)] for key, each in value.items()]}


_PACKERS: Mapping[type, Callable[[Any], Any]] = {
    Tensor: _tensor,
    list: lambda value: [pack(each) for each in value],
    tuple: lambda value: {"tuple": [pack(each) for each in value]},
    dict: _pairs,
    np.ndarray: lambda value: {"array": _array(value)},
    Fraction: lambda value: {"fraction": [value.numerator, value.denominator]},
}
_UNPACKERS: Mapping[str, Callable[[Any], Any]] = {
    "tuple": lambda content: tuple(unpack(content)),
    "dict": lambda content: {unpack(key): unpack(value) for key, value in content},
    "array": _to_array,
    "number": lambda content: _to_array(content)[()],
    "fraction": lambda content: Fraction(*content),
}


def _names(kind: type) -> tuple[str, ...] | None:
    """The fields of a dataclass or a named tuple; None for any other class."""
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind))
    return getattr(kind, "_fields", None) if issubclass(kind, tuple) else None


def _path(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _loaded(path: str) -> Any:
    """The class of this name in a module that is loaded; None if there is none."""
    module, _, name = path.partition(":")
    try:
        return attrgetter(name)(sys.modules[module])
    except (KeyError, AttributeError):
        return None


def _record(path: str, stored: Mapping[str, Any]) -> Any:
    kind = _loaded(path)
    if not isinstance(kind, type) or set(_names(kind) or ()) != set(stored):
        raise UnstorableError(f"a {path} with the fields {', '.join(stored)}")
    values = {name: unpack(each) for name, each in stored.items()}
    if issubclass(kind, tuple):
        return tuple.__new__(kind, [values[name] for name in _names(kind) or ()])
    record = object.__new__(kind)
    for name, value in values.items():
        # as it was, without what its constructor would make of it; it may be frozen
        object.__setattr__(record, name, value)
    return record
