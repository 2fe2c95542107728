"""What tells one cell, and one environment, from another: names for people, and short hashes."""

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
"""Defaults of a workload, which a name leaves out."""


def environment_class(computed: ComputeEnvironment) -> dict[str, Any]:
    """What runs must have in common for their last bits to be the same."""
    found = {key: computed.environment[key] for key in _CLASS if key in computed.environment}
    # rows of one matrix round otherwise than alone, but for the engine that takes them one by one
    together = f" x{computed.together}" if computed.engine != "sequential" else ""
    return found | {"engine": computed.engine + together}


def cell_key(config: Mapping[str, Any]) -> str:
    """What a person recognizes a cell by, and a hash of all of it but the seed: the same whatever else a suite has."""
    whole = {key: value for key, value in config.items() if key != "seed"}
    where = partition_name(config["partition"])
    workers = f"K={config['workers']} b={config['batch_size']}"
    what = f"{config['dataset']} {config['model']}"
    others = [f"{key}={config[key]}" for key, value in _UNSAID.items() if config.get(key, value) != value]
    workers = " ".join([workers, *others])
    name = f"{_strategy(config['strategy'])} | {what} | {where} | {workers} #{short_hash(whole)[:6]}"
    # a plug-in's values may be any text, and a name stands in lines, tables and XML
    return "".join(character if character.isprintable() else " " for character in name)


def _strategy(table: Mapping[str, Any]) -> str:
    """`fda linear theta=0.3`: kinds of components, and the values of the strategy itself.

    Not its name in the literature, LinearFDA: the kinds are what plug-ins add, so an annotation finds the plug-in's
    file by them, and a change of a display name leaves committed baselines as they are.
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
    """Short, and the same for the same values in any process."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
