"""Labels of strategies in plots and tables: the name in the literature, and the settings that vary in the suite.

`suite.grid` calls `labels` once for all strategies of a suite.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from fdabench.cell_config import ComponentConfig, Scalar, TableValue
from fdabench.registry.component_fields import component_fields
from fdabench.registry.registry import Registry
from fdabench.results.flatten_keys import flatten_keys
from fdabench.results.names import FindInfo, inner_info, strategy_family

SYMBOLS = {
    "theta": "θ",
    "local_epochs": "E",
    "local_steps": "τ",
    "theta.per_parameter": "θ/d",
    "server.lr": "server lr",
    "optimizer.lr": "lr",
}

SettingsTable = Mapping[str, TableValue]
Flat = dict[str, Scalar]


def labels(strategies: Sequence[SettingsTable], registry: Registry) -> list[str]:
    """Create one label for each strategy table; different tables get different labels.

    A label begins with the table's `name`, or with the name of the strategy's family if it has none. If several
    tables have the same beginning, the settings in which they differ follow. A server, codec or correction that the
    strategy does not have by itself follows in any case.

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
    of_family: dict[str, list[Flat]] = defaultdict(list)
    of_name: dict[str, list[Flat]] = defaultdict(list)
    for name, family, values in zip(names, families, flat, strict=True):
        (of_name[name] if name else of_family[family]).append(values)
    texts = [
        _label(name, values, of_name[name], info)
        if name
        else _label(family, values, of_family[family], info, _added_parts(table, registry))
        for table, name, family, values in zip(strategies, names, families, flat, strict=True)
    ]
    return _make_unique(texts, flat)


def _added_parts(table: SettingsTable, registry: Registry) -> list[str]:
    """The keys of components that the table adds to its strategy, such as `codec.kind`.

    A field that takes one or two classes only, such as the server of FedAdam, belongs to the strategy itself.
    """
    members = component_fields(registry.strategies[str(table["kind"])], registry)
    return [
        f"{member.name}.kind"
        for member in members
        if member.component_classes in (registry.servers, registry.codecs, registry.corrections)
        and isinstance(part := table.get(member.name), Mapping)
        and part["kind"] != member.default_kind
    ]


def _label(name: str, values: Flat, group: Sequence[Flat], info: FindInfo, added: Sequence[str] = ()) -> str:
    keys = dict.fromkeys(key for other in group for key in other)
    varying = [key for key in keys if key in added or _varies(key, values, group)]
    return " ".join(
        [name, *(_format_varying(key, values[key], info) for key in varying if values.get(key) is not None)]
    )


def _varies(key: str, values: Flat, group: Sequence[Flat]) -> bool:
    """Whether the value of `key` differs within the group.

    A key of an inner component, such as `server.lr`, is compared only with tables whose inner component has the same
    kind.
    """
    component = key.rpartition(".")[0]
    kind = f"{component}.kind"
    comparable = [other for other in group if key == kind or not component or other.get(kind) == values.get(kind)]
    return len({repr(other.get(key)) for other in comparable}) > 1


def _make_unique(texts: Sequence[str], flat: Sequence[Flat]) -> list[str]:
    """Append `#2`, `#3`, ... to labels that different tables have in common.

    This happens if numbers differ in digits that the label does not show.
    """
    ranks: dict[str, dict[str, int]] = defaultdict(dict)
    places = [
        ranks[label].setdefault(repr(values), len(ranks[label])) for label, values in zip(texts, flat, strict=True)
    ]
    return [f"{label} #{place + 1}" if place else label for label, place in zip(texts, places, strict=True)]


def _format_varying(key: str, value: Scalar, info: FindInfo) -> str:
    if key.endswith(".kind"):
        return inner_info(str(value), info).preset or str(value)
    text = f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
    return f"{SYMBOLS.get(key, key.split('.')[-1])}={text}"


def _flatten(table: SettingsTable) -> Flat:
    return {key: value for key, value in flatten_keys(table).items() if key not in ("kind", "name", "reference")}
