"""Data sets of plug-ins: loaded with every fault told as the plug-in's, and hashed, so that a cell is stale when they
have changed.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from fdabench.catalogue.kinds import Catalogue
from fdabench.catalogue.load import place_of
from fdabench.catalogue.tried import tried
from fdabench.datasets.base import Data
from fdabench.datasets.checks import data_faults, data_hash
from fdabench.datasets.files import FileSource, files_hash
from fdabench.errors import TaskError


class Watched(NamedTuple):
    """The catalogue with the hashes of data, and what had to be loaded to know them."""

    catalogue: Catalogue
    data: dict[str, Data]


def watched(names: Iterable[str], data_root: Path, catalogue: Catalogue) -> Watched:
    """Hash the data of those of these data sets that plug-ins add, each once: the tensors that `load` returns or, of a
    `FileSource`, its files. The others are neither hashed nor loaded.

    Raises:
        TaskError: data is missing, or cannot be trained on; all faults are in the message.
    """
    data: dict[str, Data] = {}
    hashes: dict[str, str] = {}
    faults = []
    for name in dict.fromkeys(names):
        if catalogue.plugin_of("datasets", name) is None:
            continue
        source = catalogue.datasets[name]
        try:
            if isinstance(source, FileSource):
                hashes[name] = files_hash(source, data_root)
            else:
                data[name] = loaded(name, data_root, catalogue)
                hashes[name] = data_hash(data[name])
        except TaskError as error:
            faults.append(str(error))
    if faults:
        raise TaskError("\n".join(faults))
    return Watched(replace(catalogue, data_hashes={**catalogue.data_hashes, **hashes}), data)


def loaded(name: str, data_root: Path, catalogue: Catalogue) -> Data:
    """
    Raises:
        TaskError: it is missing or, of a plug-in, cannot be trained on; all its faults are in the message.
    """
    source, plugin = catalogue.datasets[name], catalogue.plugin_of("datasets", name)
    if plugin is None:
        return source.load(data_root)
    where = f"{place_of(plugin, 'datasets', name)}: data set {name!r}"
    data = tried(plugin, f"data set {name!r}: load", lambda: source.load(data_root))
    if faults := data_faults(data, source):
        raise TaskError("\n".join(f"{where}: {fault}" for fault in faults))
    return data
