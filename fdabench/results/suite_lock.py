"""The content of `suite.lock.toml`: the suite that results belong to, frozen and expanded.

`fdabench.suite` creates a `SuiteLock` before a cell is run, and `results.folder` writes and reads it. The names of the
fields are the keys of the file, in its order. A key that a suite does not use has its default and is not written.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, InstanceOf, PlainSerializer, WithJsonSchema, model_validator

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


MAX_WORKERS_LISTED = 10_000
_Bandwidth = Annotated[float, Field(gt=0, le=1e9)]
_Latency = Annotated[float, Field(ge=0, le=1e6)]
_Speed = Annotated[float, Field(gt=0, le=1e6)]


def _as_list(value: object) -> object:
    """One number stands for all workers."""
    return value if isinstance(value, list) else [value]


_NUMBERS = {"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}}]}
_OfEach = (
    BeforeValidator(_as_list),
    Field(min_length=1, max_length=MAX_WORKERS_LISTED),
    WithJsonSchema(_NUMBERS, mode="validation"),
)


class ConstantTable(ConfigTable):
    """Every step takes the mean time."""

    kind: Literal["constant"]


class LognormalTable(ConfigTable):
    """The logarithm of a step time is normal."""

    kind: Literal["lognormal"]
    sigma: Annotated[float, Field(ge=0, le=5)]


class ExponentialTable(ConfigTable):
    """Step times are exponential."""

    kind: Literal["exponential"]


class ParetoTable(ConfigTable):
    """Step times have a heavy tail."""

    kind: Literal["pareto"]
    alpha: Annotated[float, Field(gt=0, le=100)] = 1.5
    cap: Annotated[float, Field(gt=1, le=1e6)] = 100.0


class TraceTable(ConfigTable):
    """Step times are drawn from measured ones."""

    kind: Literal["trace"]
    path: str


StepTable = Annotated[
    ConstantTable | LognormalTable | ExponentialTable | ParetoTable | TraceTable, Field(discriminator="kind")
]


class FleetTable(ConfigTable):
    """Machines for which reports compute the time to the target.

    Args:
        name: the name of the fleet.
        step: the law of step times. Default: every step takes the mean time.
        speeds: the speed of each worker, or one number for all. Worker k has entry k modulo the length.
        bandwidth_mbps: megabits per second of each worker's link, likewise.
        latency_ms: milliseconds for one way, likewise.
        shared: whether all workers share one channel.
        sites: the number of sites that the workers are evenly divided into.
        site_bandwidth_mbps: of the links between sites; only with `sites`.
        site_latency_ms: of the links between sites; only with `sites`.
        rendezvous: whether a sender waits until the receiver has announced a buffer, as gloo does.
    """

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    step: StepTable = ConstantTable(kind="constant")
    speeds: Annotated[list[_Speed], *_OfEach] = Field(default=[1.0])
    bandwidth_mbps: Annotated[list[_Bandwidth], *_OfEach]
    latency_ms: Annotated[list[_Latency], *_OfEach] = Field(default=[0.0])
    shared: bool = False
    sites: Annotated[int, Field(ge=2, le=MAX_WORKERS_LISTED)] | None = None
    site_bandwidth_mbps: _Bandwidth | None = None
    site_latency_ms: _Latency | None = None
    rendezvous: bool = False

    @model_validator(mode="after")
    def _sites_are_whole(self) -> Self:
        between = (self.site_bandwidth_mbps, self.site_latency_ms)
        if self.sites is None and between != (None, None):
            raise ValueError("site_bandwidth_mbps and site_latency_ms need sites, the number of sites")
        if self.sites is not None and self.site_bandwidth_mbps is None:
            raise ValueError("sites needs site_bandwidth_mbps, the bandwidth of the links between sites")
        return self


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
        fleet: fleets on which reports show it as well.
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
    fleet: list[FleetTable] = Field(default=[])
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
