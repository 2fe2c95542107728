"""Nested tables as one level of keys with dots in them."""

from collections.abc import Mapping
from typing import Any


def dotted(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"server": {"lr": 0.1}}` as `{"server.lr": 0.1}`."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        values |= dotted(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return values
