"""Cells on another machine without a shared file system: what is sent there, how they run, what is sent back."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch

from fdabench.datasets.base import DatasetTensors
from fdabench.engine.allocator import disable_malloc_trim
from fdabench.errors import WorkloadError
from fdabench.experiment.code_fingerprint import code_hashes
from fdabench.experiment.recorder import Progress
from fdabench.experiment.run_cell import CellCallbacks, ExecutionContext, run_cells_batched
from fdabench.registry.plugin_loading import PackedPlugins
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder
from fdabench.suite.cell import Cell

STOP_POLL_S = 0.5
"""Seconds between two requests whether to stop."""


class RemoteConfig(NamedTuple):
    """Settings that all cells of a run share."""

    device: str
    engine: str
    threads: int
    checkpoint_s: float
    plugins: PackedPlugins


class RemoteCell(NamedTuple):
    """A cell with its record and checkpoint; without these it starts as if for the first time."""

    cell: Cell
    code: Mapping[str, str]
    """Hashes of the code on the machine that started the run."""
    record: CellRecord | None
    checkpoint: bytes | None


class RemoteResult(NamedTuple):
    """The record of a cell, and its other files by name."""

    record: CellRecord
    files: dict[str, bytes]


class RemoteStarted(NamedTuple):
    cell_id: str


class RemoteProgress(NamedTuple):
    cell_id: str
    progress: Progress


class RemoteWarning(NamedTuple):
    cell_id: str
    text: str


Message = RemoteStarted | RemoteProgress | RemoteWarning


class MessageActor:
    """An actor on the node of the driver that collects messages of running cells and passes on a request to stop."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._stopping = False

    def put(self, message: Message) -> None:
        self._messages.append(message)

    def drain(self) -> list[Message]:
        messages, self._messages = self._messages, []
        return messages

    def request_stop(self) -> None:
        self._stopping = True

    def stop_requested(self) -> bool:
        return self._stopping


def run_remote_cells(
    errand: RemoteConfig,
    parcels: Sequence[RemoteCell],
    data: Mapping[str, Any],
    tell: Callable[[Message], None],
    stop_asked: Callable[[], bool],
) -> list[RemoteResult]:
    """Run cells of one data set as one batch, in a temporary results folder.

    Args:
        errand: settings of the run.
        parcels: the cells.
        data: the fields of the `DatasetTensors`.
        tell: sends a message to the driver.
        stop_asked: asks the driver whether to stop.

    Returns:
        The record and the files of each cell.

    Raises:
        WorkloadError: fdabench or a plug-in differs between the two machines.
    """
    disable_malloc_trim()
    torch.set_num_threads(errand.threads)
    registry, device = errand.plugins.unpacked(), torch.device(errand.device)
    for parcel in parcels:
        _check_code(parcel, code_hashes(parcel.cell.config, registry))
    on_device = DatasetTensors(**data).to(device)
    machine = ExecutionContext(device, errand.engine, lambda name: on_device, errand.checkpoint_s, registry)
    with TemporaryDirectory(prefix="fdabench-cells-") as folder, _StopPoller(stop_asked) as stop:
        store = ResultsFolder(Path(folder))
        for parcel in parcels:
            _unpack(parcel, store)
            tell(RemoteStarted(parcel.cell.id))
        # this call returns only after the driver has received the messages before it
        stop_asked()
        watcher = CellCallbacks(
            lambda cell_id, progress: tell(RemoteProgress(cell_id, progress)),
            stop.is_set,
            lambda cell_id, text: tell(RemoteWarning(cell_id, text)),
        )
        records = run_cells_batched([parcel.cell for parcel in parcels], store, machine, watcher)
        return [RemoteResult(record, _files(store.cell_dir(record.id))) for record in records]


def _check_code(parcel: RemoteCell, here: Mapping[str, str]) -> None:
    differing = [name for name in sorted({**parcel.code, **here}) if parcel.code.get(name) != here.get(name)]
    if differing:
        raise WorkloadError(f"a node has another version of fdabench: {', '.join(differing)} differ there")


def _unpack(parcel: RemoteCell, store: ResultsFolder) -> None:
    store.cell_dir(parcel.cell.id).mkdir(parents=True)
    if parcel.record is not None:
        store.write_record(parcel.record)
    if parcel.checkpoint is not None:
        store.checkpoint_path(parcel.cell.id).write_bytes(parcel.checkpoint)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "cell.json"}


class _StopPoller:
    """Asks in a thread whether to stop, because the main thread is busy for as long as a step takes."""

    def __init__(self, stop_asked: Callable[[], bool]) -> None:
        self._stop_asked, self._stop, self._over = stop_asked, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> threading.Event:
        self._thread.start()
        return self._stop

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._over.wait(STOP_POLL_S):
            try:
                asked = self._stop_asked()
            except Exception:
                # the driver is gone
                asked = True
            if asked:
                self._stop.set()
                return
