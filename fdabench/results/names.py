"""What strategies and partitions are called: one name for each in the terminal and in reports."""

from collections.abc import Mapping
from typing import Any

from fdabench.formatting import format_parameter

_FAMILIES = {"synchronous": "Synchronous", "ddp": "DDP", "fedavg": "FedAvg", "fedavgm": "FedAvgM", "fedadam": "FedAdam"}
_UNSAID: Mapping[str, Mapping[str, Any]] = {"dirichlet": {"shares": "per-class", "min_samples": 1}}
"""Defaults of partitions, which a name leaves out."""


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
        format_parameter(value) if i == 0 or isinstance(value, str) else f"{key}={format_parameter(value)}"
        for i, (key, value) in enumerate(values)
        if key not in unsaid or unsaid[key] != value
    ]
    return f"{kind}({', '.join(said)})" if said else kind
