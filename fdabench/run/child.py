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

from fdabench.catalogue.kinds import Catalogue
from fdabench.engine.meeting import LEADER
from fdabench.results.store import Record, Store
from fdabench.run.cell import Machine, Watcher, run_together
from fdabench.run.distributed import Table
from fdabench.run.follow import Kit, heed_signals, seat_at
from fdabench.run.lease import BEAT_S, Lease
from fdabench.run.plan import SETTLED, standings
from fdabench.run.recorder import Progress
from fdabench.run.shared import mapped
from fdabench.suite.cell import Cell


class Task(NamedTuple):
    """What a process is given when it begins."""

    store: Store
    kit: Kit
    checkpoint_s: float
    table: Table | None = None
    """Where it meets the others that hold a cell's workers; without one, this process holds them all."""


class Ready(NamedTuple):
    """It waits for cells."""


class Began(NamedTuple):
    cell_id: str


class Went(NamedTuple):
    cell_id: str
    progress: Progress


class Remark(NamedTuple):
    cell_id: str
    text: str


class Busy(NamedTuple):
    """Another run is at this cell."""

    cell_id: str


class Finished(NamedTuple):
    cell_id: str
    record: Record


class Broke(NamedTuple):
    """It cannot go on, for a reason that is not a cell's."""

    error: Exception


class Offer(NamedTuple):
    """A cell to run, unless somebody else has done it since it was begun so many times."""

    cell: Cell
    attempts: int


class Stop(NamedTuple):
    """What it is sent, instead of cells, when it is to stop."""


def serve(pipe: Connection, task: Task) -> None:
    """Run the cells that come through the pipe, and tell through it what happens."""
    stop = threading.Event()
    _take_signals(stop)
    task.kit.unpack()
    machine: Machine | None = None
    inbox: queue.SimpleQueue[Sequence[Offer]] = queue.SimpleQueue()
    leases: dict[str, Lease] = {}
    threading.Thread(target=_listen, args=(pipe, inbox, stop, leases), daemon=True).start()
    # whoever does not listen any more is gone, and `_listen` has noticed
    with suppress(OSError):
        while not stop.is_set():
            pipe.send(Ready())
            offers = inbox.get()
            try:
                # not before there is a pipe to tell what a plug-in raises
                machine = machine or _machine(task)
                cells = [offer.cell for offer in offers if _taken(offer, task.store, machine.catalogue, leases, pipe)]
                _run(cells, task.store, machine, stop, pipe)
                if machine.seat is not None and machine.seat.member.over:
                    # the others are gone, and come with the next one
                    return
            except Exception as error:
                pipe.send(Broke(error))
                return
            finally:
                while leases:
                    leases.popitem()[1].give_back()


def _machine(task: Task) -> Machine:
    kit = task.kit
    catalogue = kit.plugins.unpacked()
    seat = None if task.table is None else seat_at(task.table, LEADER, kit, catalogue)
    device = kit.device if seat is None else seat.device
    return Machine(device, kit.engine, mapped(kit.folder, device), task.checkpoint_s, catalogue, seat)


def _take_signals(stop: threading.Event) -> None:
    """Ctrl-C reaches every process of a terminal, and is for the one that gives the cells."""

    def terminate(signum: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, terminate)
    heed_signals()


def _listen(pipe: Connection, inbox: Any, stop: threading.Event, leases: Mapping[str, Lease]) -> None:
    """A thread of its own: a step takes as long as it takes, and asks nobody."""
    with suppress(EOFError, OSError):
        while True:
            if not pipe.poll(BEAT_S):
                for lease in list(leases.values()):
                    lease.beat()
            elif isinstance(message := pipe.recv(), Stop):
                break
            else:
                inbox.put(message)
    stop.set()
    inbox.put(())


def _taken(offer: Offer, store: Store, catalogue: Catalogue, leases: dict[str, Lease], pipe: Connection) -> bool:
    """Whether the cell is ours to run."""
    cell = offer.cell
    lease = Lease(store, cell.id)
    if not lease.take():
        pipe.send(Busy(cell.id))
        return False
    leases[cell.id] = lease
    record = store.read_record(cell.id)
    if (
        record is not None
        and record["attempts"] > offer.attempts
        and standings([cell], store, catalogue)[0].status in SETTLED
    ):
        pipe.send(Finished(cell.id, record))
        return False
    return True


def _run(cells: Sequence[Cell], store: Store, machine: Machine, stop: threading.Event, pipe: Connection) -> None:
    def tell(cell_id: str, progress: Progress) -> None:
        with suppress(OSError):
            pipe.send(Went(cell_id, progress))

    def remark(cell_id: str, text: str) -> None:
        with suppress(OSError):
            pipe.send(Remark(cell_id, text))

    if not cells:
        return
    for cell in cells:
        pipe.send(Began(cell.id))
    for record in run_together(cells, store, machine, Watcher(tell, stop.is_set, remark)):
        pipe.send(Finished(record["id"], record))
