"""The descriptions of built-in components, for synthetic results without a suite."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from fdabench.cell_config import ComponentConfig
from fdabench.registry.registry import BUILT_IN
from fdabench.results.names import strategy_family
from fdabench.style.plot_style import ColorMarker, color_marker_of

_ROLES = {"strategy": "strategies", "optimizer": "optimizers", "partition": "partitions"}
_STRATEGIES = [ComponentConfig(kind) for kind in BUILT_IN.strategies if kind != "fda"]
_STRATEGIES += [ComponentConfig("fda", {"monitor": ComponentConfig(kind)}) for kind in BUILT_IN.monitors]

COLOR_MARKERS: Mapping[str, ColorMarker] = {
    strategy_family(strategy, BUILT_IN.info): color_marker
    for strategy in _STRATEGIES
    if (color_marker := color_marker_of(strategy, BUILT_IN.info)) is not None
}
"""By family, the color and marker of each built-in strategy."""


def components_of(configs: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """The `components` of a lock with these cells, whose tables may lack keys and name kinds that are not built in."""
    used = {pair for config in configs for pair in _named(config)}
    roles = [field.name for field in fields(BUILT_IN) if field.name not in ("plugins", "data_hashes", "availability")]
    actual = {
        role: {name: BUILT_IN.info(role, name).as_table() for name in getattr(BUILT_IN, role) if (role, name) in used}
        for role in roles
    }
    others = {kind for role, kind in used if role == "monitors"} - {*BUILT_IN.monitors, *BUILT_IN.servers}
    actual["monitors"] |= {kind: {} for kind in sorted(others)}
    return {role: kinds for role, kinds in actual.items() if kinds}


def _named(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "datasets", config["dataset"]
    yield "models", config["model"]
    for key, role in _ROLES.items():
        yield role, config[key]["kind"]
        for value in config[key].values():
            if isinstance(value, Mapping) and "kind" in value:
                yield from (("monitors", value["kind"]), ("servers", value["kind"]))
