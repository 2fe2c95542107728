"""Cells on a machine that shares nothing with ours: what is sent there, how they run, what comes back."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch

from fdabench.catalogue.load import Packed
from fdabench.datasets.base import Data
from fdabench.engine.memory import keep_freed_memory
from fdabench.errors import TaskError
from fdabench.results.store import Record, Store
from fdabench.run.cell import Machine, Watcher, run_together
from fdabench.run.closure import code_of
from fdabench.run.recorder import Progress
from fdabench.suite.cell import Cell

ASK_S = 0.5
"""Between two questions whether to stop."""


class Errand(NamedTuple):
    """What all cells of a run are computed with."""

    device: str
    engine: str
    threads: int
    checkpoint_s: float
    plugins: Packed


class Parcel(NamedTuple):
    """A cell, and what is known of it: without these it begins as if for the first time."""

    cell: Cell
    code: Mapping[str, str]
    """Hashes of the code that it is to be run by."""
    record: Record | None
    checkpoint: bytes | None


class Left(NamedTuple):
    """What a cell left: its record, and its other files by name."""

    record: Record
    files: dict[str, bytes]


class Began(NamedTuple):
    cell_id: str


class Went(NamedTuple):
    cell_id: str
    progress: Progress


class Noted(NamedTuple):
    cell_id: str
    text: str


Message = Began | Went | Noted


class Desk:
    """Beside whoever gives the cells, for what has no time to wait for their end."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._stopping = False

    def tell(self, message: Message) -> None:
        self._messages.append(message)

    def heard(self) -> list[Message]:
        messages, self._messages = self._messages, []
        return messages

    def stop(self) -> None:
        self._stopping = True

    def stop_asked(self) -> bool:
        return self._stopping


def run_parcels(
    errand: Errand,
    parcels: Sequence[Parcel],
    data: Mapping[str, Any],
    tell: Callable[[Message], None],
    stop_asked: Callable[[], bool],
) -> list[Left]:
    """Run cells of one data set (the fields of its `Data`) side by side, in a folder that is gone afterwards.

    Raises:
        TaskError: the code here is not what the cells are to be run by.
    """
    keep_freed_memory()
    torch.set_num_threads(errand.threads)
    catalogue, device = errand.plugins.unpacked(), torch.device(errand.device)
    for parcel in parcels:
        _check_code(parcel, code_of(parcel.cell.config, catalogue))
    on_device = Data(**data).to(device)
    machine = Machine(device, errand.engine, lambda name: on_device, errand.checkpoint_s, catalogue)
    with TemporaryDirectory(prefix="fdabench-cells-") as folder, _Asking(stop_asked) as stop:
        store = Store(Path(folder))
        for parcel in parcels:
            _unpack(parcel, store)
            tell(Began(parcel.cell.id))
        # whoever is told hears it before anything else can come to pass
        stop_asked()
        watcher = Watcher(
            lambda cell_id, progress: tell(Went(cell_id, progress)),
            stop.is_set,
            lambda cell_id, text: tell(Noted(cell_id, text)),
        )
        records = run_together([parcel.cell for parcel in parcels], store, machine, watcher)
        return [Left(record, _files(store.cell_dir(record["id"]))) for record in records]


def _check_code(parcel: Parcel, here: Mapping[str, str]) -> None:
    differing = [name for name in sorted({**parcel.code, **here}) if parcel.code.get(name) != here.get(name)]
    if differing:
        raise TaskError(f"a node has another version of fdabench: {', '.join(differing)} differ there")


def _unpack(parcel: Parcel, store: Store) -> None:
    store.cell_dir(parcel.cell.id).mkdir(parents=True)
    if parcel.record is not None:
        store.write_record(parcel.cell.id, parcel.record)
    if parcel.checkpoint is not None:
        store.checkpoint_path(parcel.cell.id).write_bytes(parcel.checkpoint)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "cell.json"}


class _Asking:
    """A thread of its own asks now and then: a step takes as long as it takes."""

    def __init__(self, stop_asked: Callable[[], bool]) -> None:
        self._stop_asked, self._stop, self._over = stop_asked, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> threading.Event:
        self._thread.start()
        return self._stop

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._over.wait(ASK_S):
            try:
                asked = self._stop_asked()
            except Exception:
                # nobody is there any more to say so
                asked = True
            if asked:
                self._stop.set()
                return
