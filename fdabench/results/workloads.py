"""Determines the workloads of a frozen suite: all settings of a cell except its strategy and its seed.

Means, counts, pairs and intervals are computed for each workload. Two cells that differ in one setting, such as a
learning rate, have different workloads.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fdabench.cell_config import FlatSettings, Scalar, SettingsTable, TableValue
from fdabench.formatting import format_parameter
from fdabench.results.flatten_keys import flatten_keys, varying_keys
from fdabench.results.names import model_titles, partition_name
from fdabench.results.suite_lock import LockedCell

_NOT_OF_IT = ("strategy", "optimizer", "seed", "budget", "eval")
"""Keys of a cell that are not part of its workload.

Strategies and seeds are compared within a workload. Budget and evaluation are the same in the whole suite.
`workloads_of` explains when the local optimizer is part of the workload.
"""
_IN_BASE = ("dataset", "model", "workers", "batch_size", "precision", "batchnorm_stats", "participation.clients")
"""Keys that every title contains, as it contains the partition; precision and statistics only if not the default."""

WorkloadKey = tuple[str, str]


@dataclass(frozen=True)
class WorkloadTitle:
    """One workload of a suite.

    Args:
        id: 12 hex digits, a hash of all of its values.
        head: data set, model, number of workers and batch size.
        rest: the partition, and the other settings that vary within the suite.
        except_workers, except_partition: the title without the number of workers, or without the partition. Workloads
            that differ only in that setting have the same one.
        except_workers_id, except_partition_id: 12 hex digits, a hash of all values except that setting.
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
        """Head and rest. It is unique within a suite."""
        return f"{self.head}, {self.rest}"


def workloads_of(cells: Sequence[LockedCell]) -> dict[str, WorkloadTitle]:
    """Return the workload of each cell of a frozen suite, by cell id.

    A strategy may have its own local optimizer, which is not part of the workload. If the workloads of a suite differ
    only in the optimizer, such a strategy has one cell for all of them, which is assigned to the first.

    Args:
        cells: all cells of the frozen suite.
    """
    tables = [cell.config.to_dict() for cell in cells]
    keys = _keys(cells, tables)
    flats: dict[WorkloadKey, FlatSettings] = {}
    for cell, table in zip(cells, tables, strict=True):
        rest, optimizer = keys[cell.id]
        optimizers = {"optimizer": json.loads(optimizer)} if optimizer else {}
        flats.setdefault((rest, optimizer), flatten_keys({**optimizers, **_rest(table)}))
    titles_by_key = {
        key: WorkloadTitle(_hash(key), *titles, _hash_without("workers", flat), _hash_without("partition", flat))
        for (key, flat), titles in zip(flats.items(), _titles(list(flats.values())), strict=True)
    }
    return {cell_id: titles_by_key[key] for cell_id, key in keys.items()}


def _rest(config: SettingsTable) -> dict[str, TableValue]:
    return {key: value for key, value in config.items() if key not in _NOT_OF_IT}


def _keys(cells: Sequence[LockedCell], tables: Sequence[SettingsTable]) -> dict[str, WorkloadKey]:
    """The JSON of the settings without the optimizer, and of the optimizer if workloads differ in it; by cell id."""
    groups = [(cell, _json(_rest(table)), _json(table["optimizer"])) for cell, table in zip(cells, tables, strict=True)]
    of_label: dict[tuple[str, str], list[str]] = {}
    for cell, rest, optimizer in groups:
        of_label.setdefault((rest, cell.label), []).append(optimizer)
    # A strategy without its own optimizer has a cell for each optimizer of the workload.
    optimizer_keys: dict[str, dict[str, None]] = {}
    for (rest, _), optimizers in of_label.items():
        if len(set(optimizers)) > 1:
            optimizer_keys.setdefault(rest, {}).update(dict.fromkeys(optimizers))
    keys = {}
    for cell, rest, optimizer in groups:
        shared = optimizer_keys.get(rest, {})
        keys[cell.id] = (rest, optimizer if optimizer in shared else next(iter(shared), ""))
    return keys


def _titles(flats: Sequence[FlatSettings]) -> list[tuple[str, str, str, str]]:
    """The head, the rest, the title without workers and the title without the partition, of each workload."""
    keys = [key for key in varying_keys(flats) if key not in _IN_BASE and not key.startswith("partition.")]
    texts = [{key: format_setting(key, flat[key]) for key in keys if key in flat} for flat in flats]
    models = model_titles({str(flat["model"]) for flat in flats})
    titles = [_title(flat, models, more) for flat, more in zip(flats, texts, strict=True)]
    by_title: dict[str, list[int]] = {}
    for i, (head, rest, *_) in enumerate(titles):
        by_title.setdefault(f"{head}, {rest}", []).append(i)
    for group in by_title.values():  # values that differ only in digits that a title omits
        varying = varying_keys([flats[i] for i in group])
        for i in group if len(group) > 1 else ():
            exact = {key: f"{key}={flats[i][key]!r}" for key in varying if key in flats[i]}
            titles[i] = _title(flats[i], models, texts[i] | exact)
    return titles


def _title(flat: FlatSettings, models: Mapping[str, str], more: Mapping[str, str]) -> tuple[str, str, str, str]:
    """The parts of a title as in `_titles`; `models` has titles by name, `more` the text of each key that varies."""
    precision, statistics = flat.get("precision", "fp32"), flat.get("batchnorm_stats", "local")
    model = f"{models[str(flat['model'])]}{'' if precision == 'fp32' else f' {precision}'}"
    data = f"{flat['dataset']} {model}{'' if statistics == 'local' else ' (averaged statistics)'}"
    clients = f" of {flat['participation.clients']}" if "participation.clients" in flat else ""
    workers, batch = f"K={flat['workers']}{clients}", f"b={flat['batch_size']}"
    table = {key.removeprefix("partition."): v for key, v in flat.items() if key.startswith("partition.")}
    partition = partition_name(table)
    values = list(more.values())
    no_workers = [text for key, text in more.items() if key != "workers"]
    no_partition = [text for key, text in more.items() if not key.startswith("partition.")]
    return (
        ", ".join([data, workers, batch]),
        ", ".join([partition, *values]),
        ", ".join([data, batch, partition, *no_workers]),
        ", ".join([data, workers, batch, *no_partition]),
    )


def format_setting(key: str, value: Scalar) -> str:
    """Return the text of a setting in a title: `adam`, `lr=0.001`, `sampling=replacement`."""
    return str(value) if key.endswith(".kind") else f"{key.rpartition('.')[2]}={format_parameter(value)}"


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _hash(value: object) -> str:
    return hashlib.sha256(_json(value).encode()).hexdigest()[:12]


def _hash_without(setting: str, flat: FlatSettings) -> str:
    """The hash of all values except one setting, or one component with its settings."""
    return _hash({key: value for key, value in flat.items() if key.partition(".")[0] != setting})
