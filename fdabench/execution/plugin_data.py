"""Loads the data sets of plug-ins, hashes them, and reports faults with the line of the plug-in.

The hash is part of the code hashes of a cell, so the cell is stale if the data have changed.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from fdabench.datasets.base import DatasetTensors
from fdabench.datasets.checks import data_errors, data_hash
from fdabench.datasets.files import FileBackedDatasetSpec, files_hash
from fdabench.errors import WorkloadError
from fdabench.registry.plugin_errors import attribute_errors
from fdabench.registry.plugin_loading import location_of
from fdabench.registry.registry import Registry


class HashedData(NamedTuple):
    """A registry with the hashes of plug-ins' data, and the data sets that had to be loaded for that."""

    registry: Registry
    data: dict[str, DatasetTensors]


def hash_plugin_data(names: Iterable[str], data_root: Path, registry: Registry) -> HashedData:
    """Hash the data sets that plug-ins add.

    The hash is taken of the tensors that `load` returns or, of a `FileBackedDatasetSpec`, of its files. Built-in data
    sets are neither hashed nor loaded.

    Args:
        names: of data sets; each is hashed once.
        data_root: the folder of the data sets.
        registry: where the names are looked up.

    Raises:
        WorkloadError: data is missing, or cannot be trained on; all faults are in the message.
    """
    data: dict[str, DatasetTensors] = {}
    hashes: dict[str, str] = {}
    faults = []
    for name in dict.fromkeys(names):
        if registry.find_plugin("datasets", name) is None:
            continue
        source = registry.datasets[name]
        try:
            if isinstance(source, FileBackedDatasetSpec):
                hashes[name] = files_hash(source, data_root)
            else:
                data[name] = load_checked(name, data_root, registry)
                hashes[name] = data_hash(data[name])
        except WorkloadError as error:
            faults.append(str(error))
    if faults:
        raise WorkloadError("\n".join(faults))
    return HashedData(replace(registry, data_hashes={**registry.data_hashes, **hashes}), data)


def load_checked(name: str, data_root: Path, registry: Registry) -> DatasetTensors:
    """Load a data set, and check the tensors of a plug-in.

    Raises:
        WorkloadError: it is missing or, of a plug-in, cannot be trained on; all its faults are in the message.
    """
    source, plugin = registry.datasets[name], registry.find_plugin("datasets", name)
    if plugin is None:
        return source.load(data_root)
    origin = f"{location_of(plugin, 'datasets', name)}: data set {name!r}"
    data = attribute_errors(plugin, f"data set {name!r}: load", lambda: source.load(data_root))
    if faults := data_errors(data, source):
        raise WorkloadError("\n".join(f"{origin}: {fault}" for fault in faults))
    return data
