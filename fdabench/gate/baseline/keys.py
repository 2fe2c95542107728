"""Computes readable names and short hashes that identify cells and environments."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from fdabench.formatting import format_parameter
from fdabench.results.cell_record import ComputeEnvironment
from fdabench.results.names import partition_name

_CLASS = ("torch", "platform", "device", "capability", "blas", "threads", "deterministic")
_UNSAID = {
    "sampling": "shuffle",
    "last_batch": "wrap",
    "averaging": "uniform",
    "precision": "fp32",
    "batchnorm_stats": "local",
}
"""Default values of a workload, which a name omits."""


def environment_class(computed: ComputeEnvironment) -> dict[str, Any]:
    """Return the properties that two runs must have in common for their numbers to be the same to the last bit."""
    found = {key: computed.environment[key] for key in _CLASS if key in computed.environment}
    # The rounding depends on how many cells are rows of one matrix, except in the sequential engine.
    together = f" x{computed.together}" if computed.engine != "sequential" else ""
    return found | {"engine": computed.engine + together}


def cell_key(config: Mapping[str, Any]) -> str:
    """Return a readable name of a cell that ends in a hash of its configuration without the seed.

    The name does not depend on the other cells of the suite.

    Args:
        config: the configuration of the cell.
    """
    whole = {key: value for key, value in config.items() if key != "seed"}
    where = partition_name(config["partition"])
    workers = f"K={config['workers']} b={config['batch_size']}"
    what = f"{config['dataset']} {config['model']}"
    others = [f"{key}={config[key]}" for key, value in _UNSAID.items() if config.get(key, value) != value]
    workers = " ".join([workers, *others])
    name = f"{_strategy(config['strategy'])} | {what} | {where} | {workers} #{short_hash(whole)[:6]}"
    # A plug-in's values may contain any character, and the name is printed in lines, tables and XML.
    return "".join(character if character.isprintable() else " " for character in name)


def _strategy(table: Mapping[str, Any]) -> str:
    """The kinds of a strategy's components and its own values, such as `fda linear theta=0.3`.

    The name of the strategy in the literature, such as LinearFDA, is not used for two reasons. An annotation finds the
    file of a plug-in by the kind that it adds. A change of a display name does not change committed baselines.
    """
    kinds, values = [str(table["kind"])], []
    for key, value in sorted(table.items()):
        if isinstance(value, Mapping) and "kind" in value:
            kinds += [str(value["kind"])] if value["kind"] != "average" else []
        elif isinstance(value, Mapping):
            values += [f"{key}.{name}={format_parameter(number)}" for name, number in value.items()]
        elif key != "kind" and (key, value) != ("every", 1):
            values.append(f"{key}={format_parameter(value)}")
    return " ".join(kinds + values)


def short_hash(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return 12 hex digits that are the same for the same values in any process."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
