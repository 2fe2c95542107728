"""Rules that a part of a stored state keeps or breaks; whoever breaks one is named, with what was found."""

from typing import Any

import torch
from torch import Tensor


class StateError(Exception):
    """A state that is none of this cell; says which part is not, and why."""


def require(true: bool, where: str, found: Any, expected: str) -> None:
    """
    Raises:
        StateError: it is not true of what was found.
    """
    if not true:
        said = f"a tensor of the shape {list(found.shape)}, {found.dtype}" if isinstance(found, Tensor) else repr(found)
        raise StateError(f"{where} is {said:.80}, expected {expected}")


def instance(where: str, found: Any, kind: type) -> None:
    """One of this class."""
    require(isinstance(found, kind), where, found, f"a {kind.__name__}")


def integer(where: str, found: Any, least: int, most: int | None = None) -> None:
    """A whole number within bounds, both included."""
    true = type(found) is int and found >= least and (most is None or found <= most)
    upper = "" if most is None else f" and at most {most}"
    require(true, where, found, f"a whole number, at least {least}{upper}")


def list_of(where: str, found: Any, length: int | None = None) -> None:
    """A list, of so many."""
    size = "" if length is None else f" of {length}"
    require(isinstance(found, list) and length in (None, len(found)), where, found, f"a list{size}")


def matrix(where: str, found: Any, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """A tensor of this shape and kind of numbers; any numbers, as those of a cell that diverges are not finite."""
    true = isinstance(found, Tensor) and found.shape == shape and found.dtype == dtype
    require(true, where, found, f"a tensor of the shape {list(shape)}, {dtype}")
