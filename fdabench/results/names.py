"""What strategies and partitions are called: one name for each in the terminal, in reports and in the gate."""

import re
from collections.abc import Mapping
from typing import Any

_FAMILIES = {"synchronous": "Synchronous", "ddp": "DDP", "fedavg": "FedAvg", "fedavgm": "FedAvgM", "fedadam": "FedAdam"}
_UNSAID: Mapping[str, Mapping[str, Any]] = {"dirichlet": {"shares": "per-class", "min_samples": 1}}
"""Defaults of partitions, which a name leaves out."""
_DESCRIBED = re.compile(r"(?P<kind>[^()]+)\((?P<rest>.*)\)")


def strategy_family(kind: str, monitor: str) -> str:
    """What the literature calls a strategy: NaiveFDA, LinearFDA, FedAdam; the kind itself for one of a plug-in.

    Args:
        kind: of the strategy.
        monitor: kind of its monitor, empty without one.
    """
    return f"{monitor.capitalize()}FDA" if kind == "fda" else _FAMILIES.get(kind, kind)


def partition_name(table: Mapping[str, Any]) -> str:
    """`iid`, `dirichlet(0.1)`, `dirichlet(0.1, per-worker)`, `sorted(0.6)`: kind, and values that are no defaults.

    The first value and words stand alone; other numbers come with their key.

    Args:
        table: the partition of a cell's configuration, `kind` among its keys.
    """
    kind = str(table["kind"])
    values = [(key, value) for key, value in table.items() if key != "kind"]
    unsaid = _UNSAID.get(kind, {})
    said = [
        _number(value) if i == 0 or isinstance(value, str) else f"{key}={_number(value)}"
        for i, (key, value) in enumerate(values)
        if key not in unsaid or unsaid[key] != value
    ]
    return f"{kind}({', '.join(said)})" if said else kind


def partition_title(described: str) -> str:
    """The name of what the column `partition` of `runs` describes: `dirichlet(0.1)` for `dirichlet(alpha=0.1, ...)`."""
    found = _DESCRIBED.fullmatch(described)
    if found is None:
        return described
    pairs = [part.partition("=") for part in found["rest"].split(", ")]
    if not all(equals for _, equals, _ in pairs):
        return described  # a plug-in's value may be any text
    return partition_name({"kind": found["kind"], **{key: _parsed(text) for key, _, text in pairs}})


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parsed(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
