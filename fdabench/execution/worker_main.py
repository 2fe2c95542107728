"""The main function of worker processes, which run cells that their parent sends through a pipe.

A worker process stops at the next step, with a checkpoint, on a message of its parent, on SIGTERM, or when the parent
is gone.
"""

import queue
import signal
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, NamedTuple

from fdabench.distributed.rendezvous import LEADER
from fdabench.execution.distributed_worker import ComputeConfig, make_rank_context, unblock_signals
from fdabench.execution.lease import REFRESH_INTERVAL_S, Lease
from fdabench.execution.shared_data import mmap_loader
from fdabench.experiment.distributed_cell import GroupConfig
from fdabench.experiment.recorder import Progress
from fdabench.experiment.run_cell import CellCallbacks, ExecutionContext, run_cells_batched
from fdabench.experiment.status import FINISHED_STATUSES, cell_statuses
from fdabench.registry.registry import Registry
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder
from fdabench.run_log import run_log
from fdabench.suite.cell import Cell


class WorkerConfig(NamedTuple):
    """The arguments of a worker process."""

    store: ResultsFolder
    compute: ComputeConfig
    checkpoint_s: float
    group: GroupConfig | None = None
    """The group of ranks that it leads; None where it holds all workers of a cell."""


class WorkerReady(NamedTuple):
    """The process is ready for cells."""


class CellBegan(NamedTuple):
    """The process has started to run a cell."""

    cell_id: str


class CellAdvanced(NamedTuple):
    """A running cell was evaluated."""

    cell_id: str
    progress: Progress


class CellRemark(NamedTuple):
    """A problem that does not end the cell."""

    cell_id: str
    text: str


class CellLocked(NamedTuple):
    """Another run holds this cell."""

    cell_id: str


class CellDone(NamedTuple):
    """A cell has ended, with its final record."""

    cell_id: str
    record: CellRecord


class WorkerFailed(NamedTuple):
    """The process ends because of an error that is not a cell's."""

    error: Exception


class CellTask(NamedTuple):
    """A cell to run, unless another run has finished it in a later attempt than `attempts`."""

    cell: Cell
    attempts: int


class StopWorker(NamedTuple):
    """Sent in place of cells: stop at the next step."""


def worker_main(pipe: Connection, config: WorkerConfig) -> None:
    """Run the cells that the parent sends through the pipe, and send back what happens."""
    stop = threading.Event()
    _install_signal_handlers(stop)
    config.compute.apply()
    context: ExecutionContext | None = None
    inbox: queue.SimpleQueue[Sequence[CellTask]] = queue.SimpleQueue()
    leases: dict[str, Lease] = {}
    threading.Thread(target=_listen, args=(pipe, inbox, stop, leases), daemon=True).start()
    # a pipe that cannot be written means that the parent is gone, and `_listen` has set `stop`
    with run_log(config.compute.log_folder), suppress(OSError):
        while not stop.is_set():
            pipe.send(WorkerReady())
            tasks = inbox.get()
            try:
                # within the try block, because loading a plug-in may raise anything
                context = context or _make_context(config)
                cells = [task.cell for task in tasks if _acquire(task, config.store, context.registry, leases, pipe)]
                _run(cells, config.store, context, stop, pipe)
                if context.rank_context is not None and context.rank_context.member.has_left:
                    # the other ranks are gone; the parent starts a new group
                    return
            except Exception as error:
                pipe.send(WorkerFailed(error))
                return
            finally:
                while leases:
                    leases.popitem()[1].release()


def _make_context(config: WorkerConfig) -> ExecutionContext:
    compute = config.compute
    registry = compute.plugins.unpacked()
    rank_context = None if config.group is None else make_rank_context(config.group, LEADER, compute, registry)
    device = compute.device if rank_context is None else rank_context.device
    return ExecutionContext(
        device, compute.engine, mmap_loader(compute.folder, device), config.checkpoint_s, registry, rank_context
    )


def _install_signal_handlers(stop: threading.Event) -> None:
    """Ignore Ctrl-C, which a terminal sends to all processes and the parent handles; SIGTERM stops at the next step."""

    def terminate(signum: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, terminate)
    unblock_signals()


def _listen(pipe: Connection, inbox: Any, stop: threading.Event, leases: Mapping[str, Lease]) -> None:
    """Read messages in a thread, because the main thread is blocked for the length of a local step."""
    with suppress(EOFError, OSError):
        while True:
            if not pipe.poll(REFRESH_INTERVAL_S):
                for lease in list(leases.values()):
                    lease.refresh()
            elif isinstance(message := pipe.recv(), StopWorker):
                break
            else:
                inbox.put(message)
    stop.set()
    inbox.put(())


def _acquire(
    task: CellTask, store: ResultsFolder, registry: Registry, leases: dict[str, Lease], pipe: Connection
) -> bool:
    """Whether this process has acquired the cell and it still has to be run."""
    cell = task.cell
    lease = Lease(store, cell.id)
    if not lease.acquire():
        pipe.send(CellLocked(cell.id))
        return False
    leases[cell.id] = lease
    record = store.read_record(cell.id)
    if (
        record is not None
        and record.attempts > task.attempts
        and cell_statuses([cell], store, registry)[0].status in FINISHED_STATUSES
    ):
        pipe.send(CellDone(cell.id, record))
        return False
    return True


def _run(
    cells: Sequence[Cell], store: ResultsFolder, context: ExecutionContext, stop: threading.Event, pipe: Connection
) -> None:
    def on_progress(cell_id: str, progress: Progress) -> None:
        with suppress(OSError):
            pipe.send(CellAdvanced(cell_id, progress))

    def on_warning(cell_id: str, text: str) -> None:
        with suppress(OSError):
            pipe.send(CellRemark(cell_id, text))

    if not cells:
        return
    for cell in cells:
        pipe.send(CellBegan(cell.id))
    for record in run_cells_batched(cells, store, context, CellCallbacks(on_progress, stop.is_set, on_warning)):
        pipe.send(CellDone(record.id, record))
