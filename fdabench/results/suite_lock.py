"""The content of `suite.lock.toml`: the suite that results belong to, frozen and expanded.

`fdabench.suite` creates a `SuiteLock` before a cell is run, and `results.folder` writes and reads it. The names of the
fields are the keys of the file, in its order. A key that a suite does not use has its default and is not written.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, InstanceOf, PlainSerializer

from fdabench.cell_config import CellConfig, ConfigTable, MetricName
from fdabench.component_info import ComponentInfo
from fdabench.hyperparameters import NAME


def _check_name(name: object) -> object:
    """Raise an error for a name that fdabench does not generate.

    Names become folders, so another name could lead outside the results folder or outside `reports`.
    """
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise ValueError(f"{name!r:.60} is no name that fdabench gives")
    return name


def _read_info(table: object) -> ComponentInfo:
    """Read the description of a component.

    Raises:
        ValueError: the description was damaged, or was written by another version.
    """
    if isinstance(table, ComponentInfo):
        return table
    if not isinstance(table, Mapping):
        raise ValueError(f"expected a table, found {table!r:.60}")
    try:
        return ComponentInfo.from_table(table)
    except TypeError as error:
        # The table has an unknown key. pydantic collects a ValueError, but not a TypeError.
        raise ValueError(f"{error!s:.120}") from error


ConventionName = Literal["paper", "star", "ring", "upload"]
"""The keys of `accounting.costs.CONVENTIONS`, which is not imported, so that reading a lock does not import pandas."""
_Name = Annotated[str, BeforeValidator(_check_name)]
_Info = Annotated[InstanceOf[ComponentInfo], BeforeValidator(_read_info), PlainSerializer(lambda info: info.as_table())]


class LockedCell(ConfigTable):
    """A cell of the grid.

    Args:
        id: the first 12 hex digits of SHA-256 of the configuration's canonical JSON; the name of the cell's folder.
        label: the name of its strategy in tables and plots, which contains the settings that vary.
        reference: whether its strategy is the one that the suite compares the others with.
    """

    id: _Name
    label: str
    reference: bool
    config: CellConfig


class LockedPlugin(ConfigTable):
    """A plug-in that adds a component that the suite uses.

    Args:
        name: the name of the plug-in in lists.
        adds: role and name of each of its components, such as `strategies.kamp`.
        code: hashes of its files, by name.
    """

    name: str
    adds: list[str] = Field(default=[])
    code: dict[str, str] = Field(default={})


class LockedNetwork(ConfigTable):
    """A network that the suite defines, on which reports show the time to accuracy."""

    name: str
    bandwidth_mbps: float
    latency_ms: float = 0.0
    shared: bool = False


class SuiteLock(ConfigTable):
    """A suite as it was run.

    Args:
        suite_revision: the commit of the repository that contains the suite file; ends in `+` if files were modified.
        fdabench: the version that wrote the lock.
        suite: the name of the suite.
        tuning: how hyper-parameters were chosen.
        source: the path of the suite file, as the user gave it.
        overrides: the values of `--set` and `--seeds`.
        metric: the name of the metric of targets, a key of `metrics.METRICS`.
        targets, consecutive, comparison: the values of the metric to reach, and when one counts as reached.
        headline: the target at which strategies are compared first, if the suite sets it.
        convention: how bytes are counted; a key of `accounting.costs.CONVENTIONS`.
        network: networks on which reports show the time to accuracy, besides the built-in ones.
        gate: margins and limits of `fdabench check`. Users may edit them, so `gate.compare.settings` validates them.
        components: the description that each component in use declares, by role and name in the registry.
        cell: the cells, in the order of the grid.
    """

    suite_revision: str = ""
    fdabench: str = ""
    suite: _Name
    description: str = ""
    tuning: str = ""
    source: str = ""
    overrides: list[str] = Field(default=[])
    plugins: list[LockedPlugin] = Field(default=[])
    seeds: list[int]
    metric: MetricName = "accuracy"
    targets: list[float]
    headline: float | None = None
    consecutive: int
    comparison: Literal[">=", ">"]
    convention: ConventionName
    network: list[LockedNetwork] = Field(default=[])
    gate: object = Field(default={})
    components: dict[str, dict[str, _Info]] = Field(default={})
    cell: list[LockedCell]

    def info(self, role: str, kind: str) -> ComponentInfo:
        """Return the description of a component; the default one if the lock has none.

        Args:
            role: `strategies`, `monitors`, ...
            kind: the component's name in the registry.
        """
        return self.components.get(role, {}).get(kind, ComponentInfo())
