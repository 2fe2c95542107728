"""Nested tables as one level of keys with dots in them."""

from collections.abc import Mapping, Sequence
from typing import Any


def flatten_keys(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"server": {"lr": 0.1}}` as `{"server.lr": 0.1}`."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        values |= flatten_keys(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return values


def varying_keys(group: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys whose values differ within the group, in their order; keys of a component among those of its kind."""
    keys = dict.fromkeys(key for values in group for key in values)
    return [key for key in keys if _varies(key, group)]


def _varies(key: str, group: Sequence[Mapping[str, Any]]) -> bool:
    component = key.rpartition(".")[0]
    kind = f"{component}.kind" if component and not key.endswith(".kind") else ""
    found: dict[Any, str] = {}
    return any(
        found.setdefault(values.get(kind), repr(values[key])) != repr(values[key]) for values in group if key in values
    )
