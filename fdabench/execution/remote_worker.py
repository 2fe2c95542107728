"""Runs cells on a node without a shared file system, and defines what the node and the driver send each other."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch

from fdabench.datasets.base import DatasetTensors
from fdabench.engine.allocator import disable_malloc_trim
from fdabench.errors import WorkloadError
from fdabench.execution.events import CellProgress, CellStarted, CellWarning
from fdabench.experiment.code_fingerprint import code_hashes
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.experiment.run_cell import CellCallbacks, ExecutionContext, run_cells_batched
from fdabench.registry.plugin_loading import PackedPlugins
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder
from fdabench.suite.cell import Cell

STOP_POLL_S = 0.5
"""Seconds between two calls that read from the driver whether a stop was requested."""


class RemoteConfig(NamedTuple):
    """What a node is sent, the same for all cells of a run: the settings, and the code of the plug-ins."""

    execution: ExecutionConfig
    plugins: PackedPlugins


class RemoteCell(NamedTuple):
    """A cell with its record and its checkpoint. Without a checkpoint the cell starts at step 0."""

    cell: Cell
    code: Mapping[str, str]
    """Hashes of the code on the machine that started the run."""
    record: CellRecord | None
    checkpoint: bytes | None


class RemoteResult(NamedTuple):
    """The record of a cell, and its other files by name."""

    record: CellRecord
    files: dict[str, bytes]


NodeEvent = CellStarted | CellProgress | CellWarning
"""What a node sends while it runs cells. Their records and files are what its task returns."""


class MessageActor:
    """A Ray actor on the node of the driver.

    Nodes append events, which the driver drains, and poll whether the driver has requested a stop.
    """

    def __init__(self) -> None:
        self._events: list[NodeEvent] = []
        self._stopping = False

    def put(self, event: NodeEvent) -> None:
        """Append an event; nodes call this."""
        self._events.append(event)

    def drain(self) -> list[NodeEvent]:
        """Return and remove all events; the driver calls this."""
        events, self._events = self._events, []
        return events

    def request_stop(self) -> None:
        """Request that all cells stop; the driver calls this."""
        self._stopping = True

    def stop_requested(self) -> bool:
        """Whether a stop was requested; nodes call this."""
        return self._stopping


def run_remote_cells(
    config: RemoteConfig,
    remote_cells: Sequence[RemoteCell],
    data: Mapping[str, Any],
    send: Callable[[NodeEvent], None],
    should_stop: Callable[[], bool],
) -> list[RemoteResult]:
    """Run cells of one data set as one batch, in a temporary results folder.

    Args:
        config: the settings of the run.
        remote_cells: the cells, with equal `batch_key`.
        data: the fields of the `DatasetTensors`.
        send: sends an event to the driver.
        should_stop: reads from the driver whether a stop was requested.

    Returns:
        The record and the files of each cell.

    Raises:
        WorkloadError: fdabench or a plug-in differs between the two machines.
    """
    disable_malloc_trim()
    torch.set_num_threads(config.execution.threads)
    registry = config.plugins.unpack()
    for remote_cell in remote_cells:
        _check_code(remote_cell, code_hashes(remote_cell.cell.config, registry))
    on_device = DatasetTensors(**data).to(config.execution.device)
    context = ExecutionContext(config.execution, lambda name: on_device, registry)
    with TemporaryDirectory(prefix="fdabench-cells-") as folder, _StopPoller(should_stop) as stop:
        store = ResultsFolder(Path(folder))
        cells = {remote_cell.cell.id: remote_cell.cell for remote_cell in remote_cells}
        for remote_cell in remote_cells:
            _unpack(remote_cell, store)
            send(CellStarted(remote_cell.cell))
        # this call returns only after the driver has received the events before it
        should_stop()
        callbacks = CellCallbacks(
            lambda cell_id, progress: send(CellProgress(cells[cell_id], progress)),
            stop.is_set,
            lambda cell_id, text: send(CellWarning(cells[cell_id], text)),
        )
        records = run_cells_batched(list(cells.values()), store, context, callbacks)
        return [RemoteResult(record, _files(store.cell_dir(record.id))) for record in records]


def _check_code(remote_cell: RemoteCell, local_hashes: Mapping[str, str]) -> None:
    differing = [
        name
        for name in sorted({**remote_cell.code, **local_hashes})
        if remote_cell.code.get(name) != local_hashes.get(name)
    ]
    if differing:
        raise WorkloadError(
            f"a node has another version of fdabench: {', '.join(differing)} differ there; install the same version on "
            "all nodes"
        )


def _unpack(remote_cell: RemoteCell, store: ResultsFolder) -> None:
    store.cell_dir(remote_cell.cell.id).mkdir(parents=True)
    if remote_cell.record is not None:
        store.write_record(remote_cell.record)
    if remote_cell.checkpoint is not None:
        store.checkpoint_path(remote_cell.cell.id).write_bytes(remote_cell.checkpoint)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "cell.json"}


class _StopPoller:
    """Polls `should_stop` in a thread, because the main thread is blocked for the length of a local step.

    Entering the context returns an event, which is set when a stop was requested or the driver cannot be reached.
    """

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        self._should_stop, self._stop, self._finished = should_stop, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> threading.Event:
        self._thread.start()
        return self._stop

    def __exit__(self, *error: object) -> None:
        self._finished.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._finished.wait(STOP_POLL_S):
            try:
                stop_requested = self._should_stop()
            except Exception:
                # the driver has ended
                stop_requested = True
            if stop_requested:
                self._stop.set()
                return
