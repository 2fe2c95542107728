"""The registry: all components that a suite may name, as one immutable value.

Functions receive it as an argument. Loading plug-ins creates another registry instead of changing the built-in one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fdabench.codecs import CODECS
from fdabench.component_info import ComponentInfo, info_of
from fdabench.core.codec import Codec, LinearCodec
from fdabench.core.monitor import Monitor
from fdabench.core.strategy import Correction, ServerOptimizer, Strategy
from fdabench.core.trigger import Trigger
from fdabench.corrections import CORRECTIONS
from fdabench.datasets import DATASETS
from fdabench.datasets.availability import ClientIntervals
from fdabench.datasets.base import DatasetSpec
from fdabench.datasets.formats import FORMATS
from fdabench.datasets.formats.base import DataFormat
from fdabench.models import MODELS
from fdabench.models.base import ModelSpec
from fdabench.models.sources import SOURCES
from fdabench.models.sources.base import ModelSource
from fdabench.monitors import MONITORS
from fdabench.optimizers import OPTIMIZERS, SCHEDULES
from fdabench.optimizers.base import LocalOptimizer, LRSchedule
from fdabench.partitions import PARTITIONS
from fdabench.partitions.base import Partition
from fdabench.registry.code_hash import code_hash
from fdabench.registry.plugin_source import PluginSource
from fdabench.servers import SERVERS
from fdabench.strategies import STRATEGIES
from fdabench.triggers import TRIGGERS


@dataclass(frozen=True)
class Plugin:
    """A loaded plug-in.

    Args:
        origin: the file or the entry point that it was imported from.
        components: by role, which is a field of `Registry`, and name.
        sources: the contents of its files, by their name in records.
    """

    origin: PluginSource
    components: Mapping[str, Mapping[str, object]]
    sources: Mapping[str, bytes]

    @property
    def hashes(self) -> dict[str, str]:
        """The hash of the code of each file, by file name."""
        return {name: code_hash(source) for name, source in self.sources.items()}

    @property
    def names(self) -> list[str]:
        """The components that it adds, such as `strategies.kamp`."""
        return [f"{role}.{name}" for role, components in self.components.items() for name in components]


@dataclass(frozen=True, eq=False)
class Registry:
    """The components of each role, by the names that suites use.

    A registry is equal to itself only (`eq=False`), so that it is hashable and can be an argument of cached functions.
    """

    strategies: Mapping[str, type[Strategy]]
    monitors: Mapping[str, type[Monitor]]
    servers: Mapping[str, type[ServerOptimizer]]
    triggers: Mapping[str, type[Trigger]]
    codecs: Mapping[str, type[Codec] | type[LinearCodec]]
    corrections: Mapping[str, type[Correction]]
    optimizers: Mapping[str, type[LocalOptimizer]]
    schedules: Mapping[str, type[LRSchedule]]
    partitions: Mapping[str, type[Partition]]
    datasets: Mapping[str, DatasetSpec]
    models: Mapping[str, ModelSpec]
    plugins: tuple[Plugin, ...] = ()
    data_hashes: Mapping[str, str] = field(default_factory=dict)
    """Hashes of the data sets of plug-ins and of those that a suite describes with a table, by name.

    `execution.plugin_data` and `suite.own_components` add them when they have computed them."""
    availability: Mapping[str, ClientIntervals] = field(default_factory=dict)
    """The traces of availability that the workloads of a suite name, read by `suite.own_components`."""
    formats: Mapping[str, type[DataFormat]] = field(default_factory=lambda: FORMATS)
    """The formats of the tables `dataset` of workloads, by kind."""
    model_sources: Mapping[str, type[ModelSource]] = field(default_factory=lambda: SOURCES)
    """The libraries of the tables `model` of workloads, by kind."""

    def find_plugin(self, role: str, name: str) -> Plugin | None:
        """The plug-in that added a component; None if it is built in."""
        return next((plugin for plugin in self.plugins if name in plugin.components.get(role, ())), None)

    def info(self, role: str, name: str) -> ComponentInfo:
        """The description of a component; the default description if the registry does not contain it."""
        return info_of(getattr(self, role).get(name))


BUILT_IN = Registry(
    STRATEGIES, MONITORS, SERVERS, TRIGGERS, CODECS, CORRECTIONS, OPTIMIZERS, SCHEDULES, PARTITIONS, DATASETS, MODELS
)
