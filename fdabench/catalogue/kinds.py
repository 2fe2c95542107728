"""What a suite may name, as one value that is passed to whoever reads suites or makes settings from cells."""

from collections.abc import Mapping
from dataclasses import dataclass

from fdabench.core.monitor import Monitor
from fdabench.core.strategy import Server, Strategy
from fdabench.datasets import DATASETS
from fdabench.datasets.base import Source
from fdabench.models import MODELS
from fdabench.models.base import Architecture
from fdabench.monitors import MONITORS
from fdabench.optimizers import OPTIMIZERS, LocalOptimizer
from fdabench.partition import PARTITIONS
from fdabench.partition.base import Partition
from fdabench.servers import SERVERS
from fdabench.strategies import STRATEGIES


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Components by the names that suites know them by. Equal to itself only, so that it can be a key of caches."""

    strategies: Mapping[str, type[Strategy]]
    monitors: Mapping[str, type[Monitor]]
    servers: Mapping[str, type[Server]]
    optimizers: Mapping[str, type[LocalOptimizer]]
    partitions: Mapping[str, type[Partition]]
    datasets: Mapping[str, Source]
    models: Mapping[str, Architecture]


BUILT_IN = Catalogue(STRATEGIES, MONITORS, SERVERS, OPTIMIZERS, PARTITIONS, DATASETS, MODELS)
