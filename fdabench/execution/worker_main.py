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
    kit: ComputeConfig
    checkpoint_s: float
    table: GroupConfig | None = None
    """The group of ranks that it leads; None where it holds all workers of a cell."""


class WorkerReady(NamedTuple):
    """The process is ready for cells."""


class CellBegan(NamedTuple):
    cell_id: str


class CellAdvanced(NamedTuple):
    cell_id: str
    progress: Progress


class CellRemark(NamedTuple):
    cell_id: str
    text: str


class CellLocked(NamedTuple):
    """Another run holds this cell."""

    cell_id: str


class CellDone(NamedTuple):
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


def worker_main(pipe: Connection, task: WorkerConfig) -> None:
    """Run the cells that the parent sends through the pipe, and send back what happens."""
    stop = threading.Event()
    _install_signal_handlers(stop)
    task.kit.apply()
    machine: ExecutionContext | None = None
    inbox: queue.SimpleQueue[Sequence[CellTask]] = queue.SimpleQueue()
    leases: dict[str, Lease] = {}
    threading.Thread(target=_listen, args=(pipe, inbox, stop, leases), daemon=True).start()
    # a pipe that cannot be written means that the parent is gone, and `_listen` has set `stop`
    with run_log(task.kit.log_folder), suppress(OSError):
        while not stop.is_set():
            pipe.send(WorkerReady())
            offers = inbox.get()
            try:
                # within the try block, because loading a plug-in may raise anything
                machine = machine or _make_context(task)
                cells = [offer.cell for offer in offers if _acquire(offer, task.store, machine.registry, leases, pipe)]
                _run(cells, task.store, machine, stop, pipe)
                if machine.seat is not None and machine.seat.member.has_left:
                    # the other ranks are gone; the parent starts a new group
                    return
            except Exception as error:
                pipe.send(WorkerFailed(error))
                return
            finally:
                while leases:
                    leases.popitem()[1].release()


def _make_context(task: WorkerConfig) -> ExecutionContext:
    kit = task.kit
    registry = kit.plugins.unpacked()
    seat = None if task.table is None else make_rank_context(task.table, LEADER, kit, registry)
    device = kit.device if seat is None else seat.device
    return ExecutionContext(device, kit.engine, mmap_loader(kit.folder, device), task.checkpoint_s, registry, seat)


def _install_signal_handlers(stop: threading.Event) -> None:
    """Ignore Ctrl-C, which a terminal sends to all processes and the parent handles; SIGTERM stops at the next step."""

    def terminate(signum: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, terminate)
    unblock_signals()


def _listen(pipe: Connection, inbox: Any, stop: threading.Event, leases: Mapping[str, Lease]) -> None:
    """Read messages in a thread, because the main thread is busy for as long as a step takes."""
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
    offer: CellTask, store: ResultsFolder, registry: Registry, leases: dict[str, Lease], pipe: Connection
) -> bool:
    """Whether this process has acquired the cell and it still has to be run."""
    cell = offer.cell
    lease = Lease(store, cell.id)
    if not lease.acquire():
        pipe.send(CellLocked(cell.id))
        return False
    leases[cell.id] = lease
    record = store.read_record(cell.id)
    if (
        record is not None
        and record.attempts > offer.attempts
        and cell_statuses([cell], store, registry)[0].status in FINISHED_STATUSES
    ):
        pipe.send(CellDone(cell.id, record))
        return False
    return True


def _run(
    cells: Sequence[Cell], store: ResultsFolder, machine: ExecutionContext, stop: threading.Event, pipe: Connection
) -> None:
    def tell(cell_id: str, progress: Progress) -> None:
        with suppress(OSError):
            pipe.send(CellAdvanced(cell_id, progress))

    def remark(cell_id: str, text: str) -> None:
        with suppress(OSError):
            pipe.send(CellRemark(cell_id, text))

    if not cells:
        return
    for cell in cells:
        pipe.send(CellBegan(cell.id))
    for record in run_cells_batched(cells, store, machine, CellCallbacks(tell, stop.is_set, remark)):
        pipe.send(CellDone(record.id, record))
