"""Selects cells by their settings, for the tables `[[exclude]]` and `[[gate.limit]]`."""

from collections.abc import Mapping

from fdabench.cell_config import CellConfig
from fdabench.suite.components.tables import TomlTable


class CellFilter(TomlTable):
    """A table that selects the cells which match every key that is given."""

    dataset: str | None = None
    model: str | None = None
    workers: int | None = None
    batch_size: int | None = None
    partition: str | None = None
    alpha: float | None = None
    strategy: str | None = None
    monitor: str | None = None
    theta: float | None = None
    precision: str | None = None
    batchnorm_stats: str | None = None
    seed: int | None = None


def cell_matches(config: CellConfig, keys: Mapping[str, object]) -> bool:
    """Whether a cell has all of the given values.

    Args:
        config: the configuration of the cell.
        keys: names of fields of `CellFilter`, with the values to match. Components are compared by their kind.
    """
    strategy, partition = config.strategy, config.partition
    monitor = strategy.component("monitor")
    axes = {
        **config.to_dict(),
        "partition": partition.kind,
        "alpha": partition.parameters.get("alpha"),
        "strategy": strategy.kind,
        "monitor": None if monitor is None else monitor.kind,
        "theta": strategy.parameters.get("theta"),
    }
    return all(axes[key] == value for key, value in keys.items())
