"""What strategies and partitions are called: one name for each in the terminal and in reports."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from fdabench.component_info import ComponentInfo
from fdabench.formatting import format_parameter

FindInfo = Callable[[str, str], ComponentInfo]
"""The description of a component, given its role (`strategies`, `monitors`, ...) and its kind."""

_UNSAID: Mapping[str, Mapping[str, Any]] = {"dirichlet": {"shares": "per-class", "min_samples": 1}}
"""Defaults of partitions, which a name leaves out."""


def strategy_family(table: Mapping[str, Any], info: FindInfo) -> str:
    """What the literature calls a strategy: NaiveFDA, LinearFDA, FedAdam.

    It is what the strategy declares as its label or name, with the display names of its monitor and server in place of
    `{monitor}` and `{server}`. A strategy without either is called by its kind, a monitor or server without a name by
    its kind with a capital letter.

    Args:
        table: the strategy of a cell's configuration, `kind` among its keys.
        info: the description of a component, given its role and kind.
    """
    kind = str(table["kind"])
    own = info("strategies", kind)
    names = {
        key: inner_info(str(value["kind"]), info).name or str(value["kind"]).capitalize()
        for key, value in table.items()
        if isinstance(value, Mapping) and "kind" in value
    }
    # a field that is not in the table has no name to give
    return (own.label or own.name or kind).format_map(defaultdict(str, names))


_LABELED_ROLES = ("monitors", "servers", "triggers", "codecs", "corrections")


def inner_info(kind: str, info: FindInfo) -> ComponentInfo:
    """The description of a component that a field of a strategy contains, such as a monitor or a server."""
    found = (info(role, kind) for role in _LABELED_ROLES)
    return next((each for each in found if each != ComponentInfo()), ComponentInfo())


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
