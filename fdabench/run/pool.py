"""Cells in processes of their own, a few at a time. What happens is told as events; nothing is printed here."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from time import monotonic

import torch

from fdabench.catalogue.kinds import BUILT_IN, Catalogue
from fdabench.catalogue.load import packed
from fdabench.datasets.base import Data
from fdabench.engine.meeting import dismiss, see_off
from fdabench.errors import CutOffError, TaskError
from fdabench.results.store import Record, Store
from fdabench.run.birth import Child, born, send
from fdabench.run.checkpoint import EVERY_S
from fdabench.run.child import Began, Broke, Busy, Finished, Offer, Ready, Remark, Stop, Task, Went
from fdabench.run.distributed import Plan
from fdabench.run.events import Ended, Event, Moved, Remarked, Started, Tick
from fdabench.run.follow import Kit
from fdabench.run.lease import Lease
from fdabench.run.order import grouped
from fdabench.run.plan import attempts
from fdabench.run.shared import on_disk
from fdabench.suite.cell import Cell

TICK_S = 0.2
MOST_STILLBORN = 3
LEFT_S = 15.0
"""For a leader to say what became of a process of its team."""
AGAIN_S = 1.0
"""Between two looks at a cell that another run is at."""


@dataclass(frozen=True)
class Place:
    """What cells run on, and where their results go."""

    store: Store
    data: Mapping[str, Data]
    device: torch.device
    engine: str
    jobs: int
    """Processes."""
    threads: int
    """Of each process. With another number sums are rounded in another order."""
    together: int
    """Cells whose workers advance as one matrix, at most."""
    catalogue: Catalogue = BUILT_IN
    checkpoint_s: float = EVERY_S
    """Seconds between the checkpoints of a cell, at least."""
    team: Plan | None = None
    """The processes of each cell; without it, one holds all workers."""


def _never() -> bool:
    return False


def run_cells(
    cells: Sequence[Cell],
    place: Place,
    stop_asked: Callable[[], bool] = _never,
    begun: Mapping[str, int] | None = None,
) -> Generator[Event]:
    """Run all cells, the longest first. When asked to stop, those under way end at their next step, with a checkpoint,
    and the others do not begin. Closing the iterator does the same, and at once where it had been asked already. A cell
    that another run is at is waited for, and not done again if it is done then; `begun` says how often each had been
    begun when this run was planned.

    A cell whose process dies is `lost`; of several that shared a matrix nobody knows which it was, so each is run again
    by itself.

    Raises:
        TaskError: there is no room for the data, or processes die before they begin.
        ResultError: the results folder cannot be written.
    """
    with on_disk(place.data) as folder:
        kit = Kit(folder, place.device, place.engine, place.threads, packed(place.catalogue))
        task = Task(place.store, kit, place.checkpoint_s)
        groups = deque(grouped(cells, place.together, place.catalogue))
        known = attempts(cells, place.store) if begun is None else begun
        pool = _Pool(task, place.team, place.jobs, groups, stop_asked, known)
        try:
            yield from pool.events()
        except GeneratorExit:
            # who closes a pool that is stopping already will not wait for it
            if not (pool.stopping or stop_asked()):
                pool.stop_asked = lambda: True
                deque(pool.events(), maxlen=0)
            raise
        finally:
            pool.kill()
            if place.team is not None and place.team.outside is not None:
                dismiss(place.team.outside)
                if place.team.serves:
                    see_off(place.team.outside)


@dataclass
class _Pool:
    """Processes, and the cells that wait for one."""

    task: Task
    team: Plan | None
    jobs: int
    waiting: deque[list[Cell]]
    stop_asked: Callable[[], bool]
    begun: Mapping[str, int]
    """How often each cell had been when the run was planned."""
    elsewhere: deque[tuple[float, Cell]] = field(default_factory=deque)
    """Cells that another run is at, and when to look again."""
    children: list[Child] = field(default_factory=list)
    stopping: bool = False
    stillborn: int = 0
    told: bool = False
    broken: Exception | None = None

    def events(self) -> Iterator[Event]:
        """Until every cell has ended or, when asked to stop, until no cell is under way."""
        while self.waiting or self.elsewhere or any(child.cells for child in self.children):
            if not self.stopping and self.stop_asked():
                self._stop()
            while self.elsewhere and self.elsewhere[0][0] <= monotonic():
                self.waiting.append([self.elsewhere.popleft()[1]])
            self._give()
            heard = wait([child.pipe for child in self.children], TICK_S)
            if not heard:
                self._end_what_hangs()
                yield Tick()
            for child in [child for child in self.children if child.pipe in heard]:
                yield from self._hear(child)
        if self.broken is not None:
            raise self.broken

    def kill(self) -> None:
        """At once; what idles has nothing to lose."""
        for child in self.children:
            child.kill()
        self.children.clear()

    def _stop(self) -> None:
        self.stopping = True
        self.waiting.clear()
        self.elsewhere.clear()
        for child in self.children:
            if child.cells:
                send(child, Stop())

    def _give(self) -> None:
        """Cells to whoever is idle, and processes to cells."""
        for child in self.children:
            if child.idle and self.waiting:
                group = self.waiting.popleft()
                child.idle, child.cells = False, {cell.id: cell for cell in group}
                send(child, [Offer(cell, self.begun.get(cell.id, 0)) for cell in group])
        free = sum(not child.cells for child in self.children)
        while len(self.children) < self.jobs and free < len(self.waiting):
            self.children.append(born(self.task, self.team))
            free += 1

    def _hear(self, child: Child) -> Iterator[Event]:
        try:
            message = child.pipe.recv()
        except (EOFError, OSError):
            yield from self._bury(child)
            return
        match message:
            case Ready():
                child.was_ready = child.idle = True
            case Began(cell_id):
                yield Started(child.cells[cell_id])
            case Went(cell_id, progress):
                yield Moved(child.cells[cell_id], progress)
            case Remark(cell_id, text):
                yield Remarked(child.cells[cell_id], text)
            case Busy(cell_id):
                yield from self._later(child.cells.pop(cell_id))
            case Finished(cell_id, record):
                yield from self._finished(child.cells.pop(cell_id), record)
            case Broke(error):
                child.cells.clear()
                self.broken = error
                self._stop()

    def _end_what_hangs(self) -> None:
        """Who hangs at birth tells nobody, nor does a leader that is stopped; those that follow it leave it then."""
        for child in self.children:
            child.give_up_if_silent()
            if child.cells and any(not process.is_alive() for process in child.followers):
                child.left_at = child.left_at or monotonic()
                if monotonic() - child.left_at > LEFT_S:
                    child.process.kill()

    def _later(self, cell: Cell) -> Iterator[Event]:
        if not self.told:
            yield Remarked(cell, "another run is at it; this one goes on with the rest, and waits")
        self.told = True
        if not self.stopping:
            self.elsewhere.append((monotonic() + AGAIN_S, cell))

    def _finished(self, cell: Cell, record: Record) -> Iterator[Event]:
        if record["state"] == "interrupted" and not self.stopping and not self.stop_asked():
            # somebody stopped this process, and not the run
            self.waiting.append([cell])
        else:
            yield Ended(cell, record)

    def _bury(self, child: Child) -> Iterator[Event]:
        self.children.remove(child)
        child.process.join()
        child.kill()
        cause = child.cause_of_death()
        self.stillborn = 0 if child.was_ready else self.stillborn + 1
        if self.stillborn >= MOST_STILLBORN:
            raise TaskError(f"the processes that run cells die before they begin: {cause}")
        if self.team is not None and self.team.outside is not None and (self.waiting or self.elsewhere):
            # its team was started by somebody else, who may start another
            self.broken = CutOffError("the processes of this run are at their end; started again, they go on from here")
            self.waiting.clear()
            self.elsewhere.clear()
        lost = list(child.cells.values())
        if len(lost) > 1 and not self.stopping:
            self.waiting.extend([cell] for cell in lost)
        elif len(lost) == 1:
            record = _lost(lost[0], self.task.store, child.process.pid, cause)
            yield from self._later(lost[0]) if record is None else [Ended(lost[0], record)]


def _lost(cell: Cell, store: Store, pid: int, cause: str) -> Record | None:
    """Its record, unless another run has taken the cell over; None while that run is at it."""
    lease = Lease(store, cell.id)
    if not lease.take():
        return None
    try:
        record = store.read_record(cell.id) or {"id": cell.id, "config": cell.config, "attempts": 1}
        if record.get("state", "interrupted") == "interrupted" and record.get("process", {}).get("pid", pid) == pid:
            record |= {"state": "lost", "error": f"the process of this cell died: {cause}"}
            store.write_record(cell.id, record)
        return record
    finally:
        lease.give_back()
