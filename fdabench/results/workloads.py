"""The workloads of a frozen suite: everything of a cell that is neither its strategy nor its seed.

Means, counts, pairs and intervals go by workload, so two settings that differ in one learning rate are two workloads.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fdabench.formatting import format_parameter
from fdabench.results.flatten_keys import flatten_keys, varying_keys
from fdabench.results.names import partition_name
from fdabench.results.suite_lock import LockedCell

_NOT_OF_IT = ("strategy", "optimizer", "seed", "budget", "eval")
"""Of a cell: strategies and seeds are what is compared, budget and evaluation are one for the whole suite; of the local
optimizer see `workloads_of`.
"""
_IN_BASE = ("dataset", "model", "workers", "batch_size", "precision", "batchnorm_stats")
"""What every title says, where it is no default; so does it of the partition."""

Flat = Mapping[str, Any]
Table = Mapping[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True)
class Workload:
    """One workload of a suite.

    Args:
        id: 12 hex digits, of all of its values.
        head: data set, model, number of workers and batch size.
        rest: the partition, and whatever else varies within the suite.
        except_workers, except_partition: the title without the number of workers, or without the partition: the same
            for workloads that differ in nothing else.
        except_workers_id, except_partition_id: 12 hex digits, of all values but those.
    """

    id: str
    head: str
    rest: str
    except_workers: str
    except_partition: str
    except_workers_id: str
    except_partition_id: str

    @property
    def title(self) -> str:
        """Head and rest; no two workloads of a suite have the same one."""
        return f"{self.head}, {self.rest}"


def workloads_of(cells: Sequence[LockedCell]) -> dict[str, Workload]:
    """The workload of each cell of a frozen suite, by cell id.

    A strategy may bring a local optimizer of its own, which is no part of the workload. Where the workloads of a suite
    differ in the optimizer, such a strategy has one cell for all of them; it counts to the first.

    Args:
        cells: all cells of the frozen suite.
    """
    tables = [cell.config.to_dict() for cell in cells]
    keys = _keys(cells, tables)
    flats: dict[Key, Flat] = {}
    for cell, table in zip(cells, tables, strict=True):
        rest, optimizer = keys[cell.id]
        optimizers = {"optimizer": json.loads(optimizer)} if optimizer else {}
        flats.setdefault((rest, optimizer), flatten_keys({**optimizers, **_rest(table)}))
    found = {
        key: Workload(_hash(key), *titles, _hash_without("workers", flat), _hash_without("partition", flat))
        for (key, flat), titles in zip(flats.items(), _titles(list(flats.values())), strict=True)
    }
    return {cell_id: found[key] for cell_id, key in keys.items()}


def _rest(config: Table) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in _NOT_OF_IT}


def _keys(cells: Sequence[LockedCell], tables: Sequence[Table]) -> dict[str, Key]:
    """The JSON of what is always a cell's workload, and of the optimizer where that tells workloads apart."""
    named = [(cell, _json(_rest(table)), _json(table["optimizer"])) for cell, table in zip(cells, tables, strict=True)]
    of_label: dict[tuple[str, str], list[str]] = {}
    for cell, rest, optimizer in named:
        of_label.setdefault((rest, cell.label), []).append(optimizer)
    # who brings no optimizer was crossed with all of the workload's
    crossed: dict[str, dict[str, None]] = {}
    for (rest, _), optimizers in of_label.items():
        if len(set(optimizers)) > 1:
            crossed.setdefault(rest, {}).update(dict.fromkeys(optimizers))
    keys = {}
    for cell, rest, optimizer in named:
        shared = crossed.get(rest, {})
        keys[cell.id] = (rest, optimizer if optimizer in shared else next(iter(shared), ""))
    return keys


def _titles(flats: Sequence[Flat]) -> list[tuple[str, str, str, str]]:
    """Each title's head and rest, and the title without workers, and without the partition."""
    keys = [key for key in varying_keys(flats) if key not in _IN_BASE and not key.startswith("partition.")]
    said = [{key: _format_setting(key, flat[key]) for key in keys if key in flat} for flat in flats]
    titles = [_title(flat, more) for flat, more in zip(flats, said, strict=True)]
    same: dict[str, list[int]] = {}
    for i, (head, rest, *_) in enumerate(titles):
        same.setdefault(f"{head}, {rest}", []).append(i)
    for alike in same.values():  # too close for the digits of a title
        apart = varying_keys([flats[i] for i in alike])
        for i in alike if len(alike) > 1 else ():
            exact = {key: f"{key}={flats[i][key]!r}" for key in apart if key in flats[i]}
            titles[i] = _title(flats[i], said[i] | exact)
    return titles


def _title(flat: Flat, more: Mapping[str, str]) -> tuple[str, str, str, str]:
    """Args: `more` has what is said of a key besides the base."""
    precision, statistics = flat.get("precision", "fp32"), flat.get("batchnorm_stats", "local")
    model = f"{flat['model']}{'' if precision == 'fp32' else f' {precision}'}"
    data = f"{flat['dataset']} {model}{'' if statistics == 'local' else ' (averaged statistics)'}"
    workers, batch = f"K={flat['workers']}", f"b={flat['batch_size']}"
    table = {key.removeprefix("partition."): v for key, v in flat.items() if key.startswith("partition.")}
    where = partition_name(table)
    whole = list(more.values())
    no_workers = [text for key, text in more.items() if key != "workers"]
    no_partition = [text for key, text in more.items() if not key.startswith("partition.")]
    return (
        ", ".join([data, workers, batch]),
        ", ".join([where, *whole]),
        ", ".join([data, batch, where, *no_workers]),
        ", ".join([data, workers, batch, *no_partition]),
    )


def _format_setting(key: str, value: Any) -> str:
    """`adam`, `lr=0.001`, `sampling=replacement`."""
    return str(value) if key.endswith(".kind") else f"{key.rpartition('.')[2]}={format_parameter(value)}"


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _hash(value: Any) -> str:
    return hashlib.sha256(_json(value).encode()).hexdigest()[:12]


def _hash_without(setting: str, flat: Flat) -> str:
    """Of all values but one setting, or one component with its own settings."""
    return _hash({key: value for key, value in flat.items() if key.partition(".")[0] != setting})
