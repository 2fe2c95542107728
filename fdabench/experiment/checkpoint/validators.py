"""Checks parts of a stored state and returns them with the type that was checked.

The message of an error names the part and its value. A stored state may hold anything, so every part is an `object`
until it has been checked.
"""

from collections.abc import Collection
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
UncheckedTable: TypeAlias = dict[object, object]
"""A dictionary whose keys and values have not been checked yet."""


class StateError(Exception):
    """A stored state does not belong to the cell; the message names the part."""


def state_error(path: str, value: object, expected: str) -> StateError:
    """Return the error that says what a part is and what was expected."""
    text = f"a tensor of the shape {list(value.shape)}, {value.dtype}" if isinstance(value, Tensor) else repr(value)
    return StateError(f"{path} is {text:.80}, expected {expected}")


def require(condition: bool, path: str, value: object, expected: str) -> None:
    """Raise an error unless a condition holds.

    Raises:
        StateError: it does not.
    """
    if not condition:
        raise state_error(path, value, expected)


def instance(path: str, value: object, kind: type[T], expected: str | None = None) -> T:
    """Return the value, an instance of this class.

    Args:
        path: the place of the value, for the message.
        value: what is stored there.
        kind: the class.
        expected: what the message says was expected; default: the name of the class.

    Raises:
        StateError: it is no instance of the class.
    """
    if not isinstance(value, kind):
        raise state_error(path, value, f"a {kind.__name__}" if expected is None else expected)
    return value


def table(
    path: str, value: object, names: Collection[str] | None = None, expected: str | None = None
) -> UncheckedTable:
    """Return the value, a dictionary with these names, or with any names.

    Raises:
        StateError: it is no dictionary, or has other names.
    """
    content = instance(path, value, dict, "a table")
    if names is not None and content.keys() != set(names):
        raise state_error(path, list(content), f"the names {', '.join(names)}" if expected is None else expected)
    return content


def integer(path: str, value: object, least: int, most: int | None = None) -> int:
    """Return the value, an integer within bounds, both included.

    Raises:
        StateError: it is no integer, or out of bounds.
    """
    if type(value) is int and value >= least and (most is None or value <= most):
        return value
    upper = "" if most is None else f" and at most {most}"
    raise state_error(path, value, f"a whole number, at least {least}{upper}")


def list_of(path: str, value: object, length: int | None = None) -> list[object]:
    """Return the value, a list, of this length if one is given.

    Raises:
        StateError: it is no list, or of another length.
    """
    if isinstance(value, list) and length in (None, len(value)):
        return value
    raise state_error(path, value, "a list" if length is None else f"a list of {length}")


def matrix(path: str, value: object, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Require a tensor of this shape and dtype. Values may be non-finite, as in a cell that diverges."""
    matches = isinstance(value, Tensor) and value.shape == shape and value.dtype == dtype
    require(matches, path, value, f"a tensor of the shape {list(shape)}, {dtype}")
