"""What a strategy is called in plots: its name in the literature, and whatever varies within the suite."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

NAMES = {"synchronous": "Synchronous", "fedavg": "FedAvg", "fedadam": "FedAdam", "fedavgm": "FedAvgM"}
SYMBOLS = {"theta": "θ", "local_epochs": "E", "local_steps": "τ", "theta.per_parameter": "θ/d", "optimizer.lr": "lr"}

Table = Mapping[str, Any]


def family(strategy: Table) -> str:
    """NaiveFDA, LinearFDA, SketchFDA, FedAdam, ...; the kind itself for strategies of others."""
    if strategy["kind"] == "fda":
        return f"{strategy['monitor']['kind'].capitalize()}FDA"
    return NAMES.get(strategy["kind"], str(strategy["kind"]))


def labels(strategies: Sequence[Table]) -> list[str]:
    """A label for each strategy table: the one that it was given, or its family and what varies within that."""
    flat = [_flat(table) for table in strategies]
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for table, values in zip(strategies, flat, strict=True):
        groups[family(table)].append(values)
    return [
        table.get("name") or _label(family(table), values, groups)
        for table, values in zip(strategies, flat, strict=True)
    ]


def _label(name: str, values: dict[str, Any], groups: Mapping[str, list[dict[str, Any]]]) -> str:
    keys = dict.fromkeys(key for group in groups[name] for key in group)
    varying = [key for key in keys if len({repr(group.get(key)) for group in groups[name]}) > 1]
    return " ".join([name, *(_said(key, values[key]) for key in varying if values.get(key) is not None)])


def _said(key: str, value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{SYMBOLS.get(key, key.split('.')[-1])}={text}" if key != "server.kind" else text


def _flat(table: Table, prefix: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in table.items():
        if prefix == "" and key in ("kind", "name", "reference"):
            continue
        values |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return values
