"""Converts nested tables to one level of keys that are joined with dots, and finds the keys whose values differ."""

from collections.abc import Mapping, Sequence

from fdabench.cell_config import Scalar, TableValue


def flatten_keys(table: Mapping[str, TableValue], prefix: str = "") -> dict[str, Scalar]:
    """Return the values of a nested table by their keys, joined with dots.

    >>> flatten_keys({"server": {"lr": 0.1}})
    {'server.lr': 0.1}
    """
    values: dict[str, Scalar] = {}
    for key, value in table.items():
        values |= flatten_keys(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return values


def varying_keys(group: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """Return the keys whose values differ within the group, in their order.

    The key of a component, such as `server.lr`, is compared only among components of the same kind.

    >>> varying_keys([{"seed": 0, "lr": 0.1}, {"seed": 1, "lr": 0.1}])
    ['seed']
    """
    keys = dict.fromkeys(key for values in group for key in values)
    return [key for key in keys if _varies(key, group)]


def _varies(key: str, group: Sequence[Mapping[str, Scalar]]) -> bool:
    component = key.rpartition(".")[0]
    kind = f"{component}.kind" if component and not key.endswith(".kind") else ""
    texts: dict[Scalar | None, str] = {}
    return any(
        texts.setdefault(values.get(kind), repr(values[key])) != repr(values[key]) for values in group if key in values
    )
