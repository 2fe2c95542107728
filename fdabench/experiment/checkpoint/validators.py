"""Checks parts of a stored state. The message of an error names the part and its value."""

import torch
from torch import Tensor


class StateError(Exception):
    """A stored state does not belong to the cell; the message names the part."""


def require(condition: bool, path: str, value: object, expected: str) -> None:
    """Raise an error unless a condition holds.

    Raises:
        StateError: it does not.
    """
    if not condition:
        text = f"a tensor of the shape {list(value.shape)}, {value.dtype}" if isinstance(value, Tensor) else repr(value)
        raise StateError(f"{path} is {text:.80}, expected {expected}")


def instance(path: str, value: object, kind: type) -> None:
    """Require an instance of this class."""
    require(isinstance(value, kind), path, value, f"a {kind.__name__}")


def integer(path: str, value: object, least: int, most: int | None = None) -> None:
    """Require an integer within bounds, both included."""
    in_range = type(value) is int and value >= least and (most is None or value <= most)
    upper = "" if most is None else f" and at most {most}"
    require(in_range, path, value, f"a whole number, at least {least}{upper}")


def list_of(path: str, value: object, length: int | None = None) -> None:
    """Require a list, of this length if one is given."""
    size = "" if length is None else f" of {length}"
    require(isinstance(value, list) and length in (None, len(value)), path, value, f"a list{size}")


def matrix(path: str, value: object, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Require a tensor of this shape and dtype. Values may be non-finite, as in a cell that diverges."""
    matches = isinstance(value, Tensor) and value.shape == shape and value.dtype == dtype
    require(matches, path, value, f"a tensor of the shape {list(shape)}, {dtype}")
