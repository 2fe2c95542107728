"""Computes readable names and short hashes that identify cells and environments."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from fdabench.cell_config import CellConfig, ComponentConfig, Scalar, ScaledThreshold
from fdabench.formatting import format_parameter
from fdabench.results.cell_record import ComputeEnvironment
from fdabench.results.names import partition_name

_CLASS = ("torch", "platform", "device", "capability", "blas", "threads", "deterministic")
_SHOWN_UNLESS_DEFAULT = ("sampling", "last_batch", "averaging", "precision", "batchnorm_stats")
"""Keys of a workload that a name omits if they have the default value."""


def environment_class(computed: ComputeEnvironment) -> dict[str, Scalar]:
    """Return the properties that two runs must have in common for their numbers to be the same to the last bit."""
    values = {key: computed.environment[key] for key in _CLASS if key in computed.environment}
    # The rounding depends on how many cells are rows of one matrix, except in the sequential engine.
    batched = f" x{computed.together}" if computed.engine != "sequential" else ""
    return values | {"engine": computed.engine + batched}


def cell_key(config: CellConfig) -> str:
    """Return a readable name of a cell that ends in a hash of its configuration without the seed.

    The name does not depend on the other cells of the suite.

    Args:
        config: the configuration of the cell.
    """
    settings = {key: value for key, value in config.to_dict().items() if key != "seed"}
    partition = partition_name(config.partition.to_table())
    defaults = {key: CellConfig.model_fields[key].default for key in _SHOWN_UNLESS_DEFAULT}
    others = [f"{key}={getattr(config, key)}" for key, value in defaults.items() if getattr(config, key) != value]
    workers = " ".join([f"K={config.workers} b={config.batch_size}", *others])
    task = f"{config.dataset} {config.model}"
    name = f"{_strategy(config.strategy)} | {task} | {partition} | {workers} #{short_hash(settings)[:6]}"
    # A plug-in's values may contain any character, and the name is printed in lines, tables and XML.
    return "".join(character if character.isprintable() else " " for character in name)


def _strategy(strategy: ComponentConfig) -> str:
    """The kinds of a strategy's components and its own values, such as `fda linear theta=0.3`.

    The name of the strategy in the literature, such as LinearFDA, is not used for two reasons. An annotation finds the
    file of a plug-in by the kind that it adds. A change of a display name does not change committed baselines.
    """
    kinds, values = [strategy.kind], []
    for key, value in sorted(strategy.parameters.items()):
        if isinstance(value, ComponentConfig):
            kinds += [value.kind] if value.kind != "average" else []
        elif isinstance(value, ScaledThreshold):
            values.append(f"{key}.per_parameter={format_parameter(value.per_parameter)}")
        elif (key, value) != ("every", 1):
            values.append(f"{key}={format_parameter(value)}")
    return " ".join(kinds + values)


def short_hash(value: Mapping[str, object] | Sequence[object]) -> str:
    """Return 12 hex digits that are the same for the same values in any process."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
