"""Loads data sets once and writes them to files, which all processes of a run map into memory."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from tempfile import gettempdir
from uuid import uuid4

import torch
from filelock import BaseFileLock, FileLock, Timeout

from fdabench.datasets.base import DatasetTensors
from fdabench.errors import WorkloadError
from fdabench.execution.plugin_data import load_checked
from fdabench.registry.registry import BUILT_IN, Registry

CPU = torch.device("cpu")
_PREFIX, _LOCK = "fdabench-data-", ".lock"


NO_DATA: Mapping[str, DatasetTensors] = {}


def load_datasets(
    names: Iterable[str], data_root: Path, registry: Registry = BUILT_IN, loaded: Mapping[str, DatasetTensors] = NO_DATA
) -> dict[str, DatasetTensors]:
    """Load data sets by name, on the CPU.

    Args:
        names: of data sets; each is loaded once.
        data_root: their folder.
        registry: where the names are looked up.
        loaded: data sets that are loaded already.

    Raises:
        WorkloadError: data is missing, or a plug-in's cannot be trained on; all faults are in the message.
    """
    datasets, faults = {}, []
    for name in dict.fromkeys(names):
        try:
            data = loaded[name] if name in loaded else load_checked(name, data_root, registry)
            datasets[name] = data.to(CPU)
        except WorkloadError as error:
            faults.append(str(error))
    if faults:
        raise WorkloadError("\n".join(dict.fromkeys(faults)))
    return datasets


@contextmanager
def export_datasets(data: Mapping[str, DatasetTensors]) -> Iterator[Path]:
    """Write data sets into a temporary folder, which is removed at the end.

    Folders that killed processes have left are removed as well.

    Raises:
        WorkloadError: there is no room for them.
    """
    root = _temporary()
    _remove_stale(root)
    folder = root / f"{_PREFIX}{uuid4().hex[:12]}"
    lock = FileLock(folder.with_suffix(_LOCK))
    try:
        # a folder without a lock would be removed as stale by another run
        lock.acquire()
        folder.mkdir(mode=0o700)
        for name, tensors in data.items():
            torch.save(asdict(tensors), folder / f"{name}.pt")
    except (OSError, RuntimeError) as error:
        _remove(folder, lock)
        raise WorkloadError(
            f"the data cannot be written to {folder}: {error}; set TMPDIR to a folder with space"
        ) from error
    try:
        yield folder
    finally:
        _remove(folder, lock)


def _temporary() -> Path:
    try:
        return Path(gettempdir())
    except FileNotFoundError as error:
        raise WorkloadError(
            f"the data cannot be written: {error.strerror}; set TMPDIR to a folder with space"
        ) from error


def _remove_stale(root: Path) -> None:
    """Remove the folders whose locks no process holds any more."""
    for path in root.glob(f"{_PREFIX}*{_LOCK}"):
        lock = FileLock(path, blocking=False)
        # a running process holds it, or it belongs to another user
        with suppress(Timeout, OSError):
            lock.acquire()
            _remove(path.with_suffix(""), lock)


def _remove(folder: Path, lock: BaseFileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


def mmap_loader(folder: Path, device: torch.device) -> Callable[[str], DatasetTensors]:
    """A function that maps a data set of `export_datasets`, given its name.

    On a CPU all processes share its memory. The last data set is cached.
    """

    @lru_cache(maxsize=1)
    def load(name: str) -> DatasetTensors:
        return DatasetTensors(**torch.load(folder / f"{name}.pt", mmap=True, weights_only=True)).to(device)

    return load
