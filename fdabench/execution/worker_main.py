"""A process that runs cells. It stops at the next step, with a checkpoint, when it is told to, on SIGTERM, or when the
process that gave it its cells is gone.
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
from fdabench.results.folder import Record, ResultsFolder
from fdabench.run_log import run_log
from fdabench.suite.cell import Cell


class WorkerConfig(NamedTuple):
    """What a process is given when it begins."""

    store: ResultsFolder
    kit: ComputeConfig
    checkpoint_s: float
    table: GroupConfig | None = None
    """Where it meets the others that hold a cell's workers; without one, this process holds them all."""


class WorkerReady(NamedTuple):
    """It waits for cells."""


class CellBegan(NamedTuple):
    cell_id: str


class CellAdvanced(NamedTuple):
    cell_id: str
    progress: Progress


class CellRemark(NamedTuple):
    cell_id: str
    text: str


class CellLocked(NamedTuple):
    """Another run is at this cell."""

    cell_id: str


class CellDone(NamedTuple):
    cell_id: str
    record: Record


class WorkerFailed(NamedTuple):
    """It cannot go on, for a reason that is not a cell's."""

    error: Exception


class CellTask(NamedTuple):
    """A cell to run, unless somebody else has done it since it was begun so many times."""

    cell: Cell
    attempts: int


class StopWorker(NamedTuple):
    """What it is sent, instead of cells, when it is to stop."""


def worker_main(pipe: Connection, task: WorkerConfig) -> None:
    """Run the cells that come through the pipe, and tell through it what happens."""
    stop = threading.Event()
    _install_signal_handlers(stop)
    task.kit.apply()
    machine: ExecutionContext | None = None
    inbox: queue.SimpleQueue[Sequence[CellTask]] = queue.SimpleQueue()
    leases: dict[str, Lease] = {}
    threading.Thread(target=_listen, args=(pipe, inbox, stop, leases), daemon=True).start()
    # whoever does not listen any more is gone, and `_listen` has noticed
    with run_log(task.kit.log_folder), suppress(OSError):
        while not stop.is_set():
            pipe.send(WorkerReady())
            offers = inbox.get()
            try:
                # not before there is a pipe to tell what a plug-in raises
                machine = machine or _make_context(task)
                cells = [offer.cell for offer in offers if _acquire(offer, task.store, machine.registry, leases, pipe)]
                _run(cells, task.store, machine, stop, pipe)
                if machine.seat is not None and machine.seat.member.has_left:
                    # the others are gone, and come with the next one
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
    """Ctrl-C reaches every process of a terminal, and is for the one that gives the cells."""

    def terminate(signum: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, terminate)
    unblock_signals()


def _listen(pipe: Connection, inbox: Any, stop: threading.Event, leases: Mapping[str, Lease]) -> None:
    """A thread of its own: a step takes as long as it takes, and asks nobody."""
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
    """Whether the cell is ours to run."""
    cell = offer.cell
    lease = Lease(store, cell.id)
    if not lease.acquire():
        pipe.send(CellLocked(cell.id))
        return False
    leases[cell.id] = lease
    record = store.read_record(cell.id)
    if (
        record is not None
        and record["attempts"] > offer.attempts
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
        pipe.send(CellDone(record["id"], record))
