"""Labels of strategies in plots and tables: the name in the literature, and the settings that vary in the suite.

`suite.grid` calls `labels` once for all strategies of a suite. The settings of a component follow its name, in the
order of the fields of the strategy: `QSR nesterov momentum=0.9 topk share=0.1 β=0.95 scaffold`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fdabench.cell_config import ComponentConfig, FlatSettings, Scalar, SettingsTable
from fdabench.registry.component_fields import component_fields
from fdabench.registry.registry import Registry
from fdabench.results.flatten_keys import flatten_keys
from fdabench.results.names import FindInfo, inner_info, strategy_family

SYMBOLS = {
    "theta": "θ",
    "local_epochs": "E",
    "local_steps": "τ",
    "feedback": "β",
    "when.theta": "θ",
    "when.local_epochs": "E",
    "when.local_steps": "τ",
    "theta.per_parameter": "θ/d",
    "server.lr": "server lr",
    "optimizer.lr": "lr",
}


def labels(strategies: Sequence[SettingsTable], registry: Registry) -> list[str]:
    """Create one label for each strategy table; different tables get different labels.

    A label begins with the table's `name`, or with the name of the strategy's family if it has none. If several
    tables have the same beginning, the settings in which they differ follow. A server, codec or correction that the
    strategy does not have by itself follows in any case. A strategy with a trigger, which may combine all four roles,
    leaves out a server that is the default, also where the server differs.

    Args:
        strategies: validated tables, lists expanded.
        registry: contains the components that the tables name.

    Returns:
        The labels, in the order of `strategies`.
    """
    info = registry.info
    flat = [_flatten(table) for table in strategies]
    families = [strategy_family(ComponentConfig.from_table(table), info) for table in strategies]
    names = [str(table.get("name") or "") for table in strategies]
    of_family: dict[str, list[FlatSettings]] = defaultdict(list)
    of_name: dict[str, list[FlatSettings]] = defaultdict(list)
    for name, family, values in zip(names, families, flat, strict=True):
        (of_name[name] if name else of_family[family]).append(values)
    texts = [
        _label(name, values, of_name[name], info)
        if name
        else _label(family, values, of_family[family], info, _parts(table, registry))
        for table, name, family, values in zip(strategies, names, families, flat, strict=True)
    ]
    return _make_unique(texts, strategies)


class _Parts(NamedTuple):
    """The keys of components, such as `codec.kind`, that a label contains or omits whether or not they vary."""

    shown: frozenset[str]
    omitted: frozenset[str]


_NO_PARTS = _Parts(frozenset(), frozenset())


def _parts(table: SettingsTable, registry: Registry) -> _Parts:
    """Which servers, codecs and corrections the table adds to its strategy, and which it leaves at the default.

    A field that takes one or two classes only, such as the server of FedAdam, belongs to the strategy itself. Only
    strategies with a trigger omit defaults.
    """
    roles = (registry.servers, registry.codecs, registry.corrections)
    kinds = [
        (f"{member.name}.kind", part["kind"] == member.default_kind)
        for member in component_fields(registry.strategies[str(table["kind"])], registry)
        if member.component_classes in roles and isinstance(part := table.get(member.name), Mapping)
    ]
    omitted = frozenset(key for key, is_default in kinds if is_default) if "when" in table else frozenset()
    return _Parts(frozenset(key for key, is_default in kinds if not is_default), omitted)


def _label(
    name: str, values: FlatSettings, group: Sequence[FlatSettings], info: FindInfo, parts: _Parts = _NO_PARTS
) -> str:
    possible = [key for key in values if key not in parts.omitted]
    varying = [key for key in possible if key in parts.shown or _varies(key, values, group)]
    return " ".join([name, *(_format_varying(key, values[key], info) for key in varying)])


def _varies(key: str, values: FlatSettings, group: Sequence[FlatSettings]) -> bool:
    """Whether the value of `key` differs within the group.

    A key of an inner component, such as `server.lr`, is compared only with tables whose inner component has the same
    kind, and the decay of error feedback only with tables that have the same kind of codec.
    """
    component = "codec" if key == "feedback" else key.rpartition(".")[0]
    kind = f"{component}.kind"
    comparable = [other for other in group if key == kind or not component or other.get(kind) == values.get(kind)]
    return len({repr(other.get(key)) for other in comparable}) > 1


def _make_unique(texts: Sequence[str], strategies: Sequence[SettingsTable]) -> list[str]:
    """Append `#2`, `#3`, ... to labels that different tables have in common.

    This happens if numbers differ in digits that the label does not show, or if a preset is in the suite beside the
    same combination as `rounds`.
    """
    ranks: dict[str, dict[str, int]] = defaultdict(dict)
    keys = [repr({key: value for key, value in table.items() if key != "reference"}) for table in strategies]
    places = [ranks[label].setdefault(key, len(ranks[label])) for label, key in zip(texts, keys, strict=True)]
    return [f"{label} #{place + 1}" if place else label for label, place in zip(texts, places, strict=True)]


def _format_varying(key: str, value: Scalar, info: FindInfo) -> str:
    if key.endswith(".kind"):
        return inner_info(str(value), info).preset or str(value)
    text = f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
    return f"{SYMBOLS.get(key, key.split('.')[-1])}={text}"


def _flatten(table: SettingsTable) -> FlatSettings:
    return {key: value for key, value in flatten_keys(table).items() if key not in ("kind", "name", "reference")}
