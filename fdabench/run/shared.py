"""Data sets decoded once and mapped by every process that runs cells, instead of a copy for each."""

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

from fdabench.catalogue.kinds import BUILT_IN, Catalogue
from fdabench.datasets.base import Data
from fdabench.errors import TaskError
from fdabench.run.watched import loaded

CPU = torch.device("cpu")
_PREFIX, _LOCK = "fdabench-data-", ".lock"


NOTHING: Mapping[str, Data] = {}


def load_all(
    names: Iterable[str], data_root: Path, catalogue: Catalogue = BUILT_IN, there: Mapping[str, Data] = NOTHING
) -> dict[str, Data]:
    """Data sets by name, on the CPU; `there` has those that are loaded already.

    Raises:
        TaskError: data is missing, or a plug-in's cannot be trained on; all faults are in the message.
    """
    found, faults = {}, []
    for name in dict.fromkeys(names):
        try:
            data = there[name] if name in there else loaded(name, data_root, catalogue)
            found[name] = data.to(CPU)
        except TaskError as error:
            faults.append(str(error))
    if faults:
        raise TaskError("\n".join(dict.fromkeys(faults)))
    return found


@contextmanager
def on_disk(data: Mapping[str, Data]) -> Iterator[Path]:
    """A temporary folder with these data sets, in the layout in which they are used. What processes that were killed
    have left there goes as well.

    Raises:
        TaskError: there is no room for them.
    """
    root = _temporary()
    _clear(root)
    folder = root / f"{_PREFIX}{uuid4().hex[:12]}"
    lock = FileLock(folder.with_suffix(_LOCK))
    try:
        # before the folder, so that there is none without
        lock.acquire()
        folder.mkdir(mode=0o700)
        for name, each in data.items():
            torch.save(asdict(each), folder / f"{name}.pt")
    except (OSError, RuntimeError) as error:
        _remove(folder, lock)
        raise TaskError(f"no room for the data in {folder}; TMPDIR says where there is: {error}") from error
    try:
        yield folder
    finally:
        _remove(folder, lock)


def _temporary() -> Path:
    try:
        return Path(gettempdir())
    except FileNotFoundError as error:
        raise TaskError(f"no room for the data; TMPDIR says where there is: {error.strerror}") from error


def _clear(root: Path) -> None:
    """Remove the folders whose locks nobody holds any more."""
    for path in root.glob(f"{_PREFIX}*{_LOCK}"):
        lock = FileLock(path, blocking=False)
        # another's folder, or another person's
        with suppress(Timeout, OSError):
            lock.acquire()
            _remove(path.with_suffix(""), lock)


def _remove(folder: Path, lock: BaseFileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


def mapped(folder: Path, device: torch.device) -> Callable[[str], Data]:
    """Data sets of `on_disk` by name. On a CPU their memory is shared; the last one used is kept."""

    @lru_cache(maxsize=1)
    def load(name: str) -> Data:
        return Data(**torch.load(folder / f"{name}.pt", mmap=True, weights_only=True)).to(device)

    return load
