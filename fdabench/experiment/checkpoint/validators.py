"""Checks parts of a stored state. The message of an error names the part and its value."""

import torch
from torch import Tensor


class StateError(Exception):
    """A stored state does not belong to the cell; the message names the part."""


def require(true: bool, where: str, found: object, expected: str) -> None:
    """Raise an error unless a condition holds.

    Raises:
        StateError: it does not.
    """
    if not true:
        said = f"a tensor of the shape {list(found.shape)}, {found.dtype}" if isinstance(found, Tensor) else repr(found)
        raise StateError(f"{where} is {said:.80}, expected {expected}")


def instance(where: str, found: object, kind: type) -> None:
    """Require an instance of this class."""
    require(isinstance(found, kind), where, found, f"a {kind.__name__}")


def integer(where: str, found: object, least: int, most: int | None = None) -> None:
    """Require an integer within bounds, both included."""
    true = type(found) is int and found >= least and (most is None or found <= most)
    upper = "" if most is None else f" and at most {most}"
    require(true, where, found, f"a whole number, at least {least}{upper}")


def list_of(where: str, found: object, length: int | None = None) -> None:
    """Require a list, of this length if one is given."""
    size = "" if length is None else f" of {length}"
    require(isinstance(found, list) and length in (None, len(found)), where, found, f"a list{size}")


def matrix(where: str, found: object, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Require a tensor of this shape and dtype. Values may be non-finite, as in a cell that diverges."""
    true = isinstance(found, Tensor) and found.shape == shape and found.dtype == dtype
    require(true, where, found, f"a tensor of the shape {list(shape)}, {dtype}")
