"""Cells in processes of their own, a few at a time. What happens is told as events; nothing is printed here."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from time import monotonic

import torch

from fdabench.datasets.base import DatasetTensors
from fdabench.distributed.rendezvous import request_shutdown, wait_for_shutdown
from fdabench.errors import ProcessLostError, WorkloadError
from fdabench.execution.batching import batch_cells
from fdabench.execution.distributed_worker import ComputeConfig
from fdabench.execution.events import CellFinished, CellProgress, CellStarted, CellWarning, Event, Idle
from fdabench.execution.lease import Lease
from fdabench.execution.shared_data import export_datasets
from fdabench.execution.worker_handle import WorkerHandle, send, spawn_worker
from fdabench.execution.worker_main import (
    CellAdvanced,
    CellBegan,
    CellDone,
    CellLocked,
    CellRemark,
    CellTask,
    StopWorker,
    WorkerConfig,
    WorkerFailed,
    WorkerReady,
)
from fdabench.experiment.checkpoint.file import DEFAULT_INTERVAL_S
from fdabench.experiment.distributed_cell import DistributedConfig
from fdabench.experiment.status import attempts
from fdabench.registry.plugin_loading import pack_plugins
from fdabench.registry.registry import BUILT_IN, Registry
from fdabench.results.folder import Record, ResultsFolder
from fdabench.suite.cell import Cell

TICK_S = 0.2
MAX_FAILED_STARTS = 3
ORPHAN_GRACE_S = 15.0
"""For a leader to say what became of a process of its team."""
LOCK_RETRY_S = 1.0
"""Between two looks at a cell that another run is at."""


@dataclass(frozen=True)
class RunContext:
    """What cells run on, and where their results go."""

    store: ResultsFolder
    data: Mapping[str, DatasetTensors]
    device: torch.device
    engine: str
    jobs: int
    """Processes."""
    threads: int
    """Of each process. With another number sums are rounded in another order."""
    cells_per_batch: int
    """Cells whose workers advance as one matrix, at most."""
    registry: Registry = BUILT_IN
    checkpoint_s: float = DEFAULT_INTERVAL_S
    """Seconds between the checkpoints of a cell, at least."""
    team: DistributedConfig | None = None
    """The processes of each cell; without it, one holds all workers."""


def _never() -> bool:
    return False


def run_cells(
    cells: Sequence[Cell],
    place: RunContext,
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
        WorkloadError: there is no room for the data, or processes die before they begin.
        ResultError: the results folder cannot be written.
    """
    with export_datasets(place.data) as folder:
        plugins, log_folder = pack_plugins(place.registry), place.store.root.absolute()
        kit = ComputeConfig(folder, place.device, place.engine, place.threads, plugins, log_folder)
        task = WorkerConfig(place.store, kit, place.checkpoint_s)
        groups = deque(batch_cells(cells, place.cells_per_batch, place.registry))
        known = attempts(cells, place.store) if begun is None else begun
        pool = _LocalScheduler(task, place.team, place.jobs, groups, stop_asked, known)
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
            if place.team is not None and place.team.external_rendezvous is not None:
                request_shutdown(place.team.external_rendezvous)
                if place.team.hosts_store:
                    wait_for_shutdown(place.team.external_rendezvous)


@dataclass
class _LocalScheduler:
    """Processes, and the cells that wait for one."""

    task: WorkerConfig
    team: DistributedConfig | None
    jobs: int
    waiting: deque[list[Cell]]
    stop_asked: Callable[[], bool]
    planned_attempts: Mapping[str, int]
    """How often each cell had been when the run was planned."""
    locked_cells: deque[tuple[float, Cell]] = field(default_factory=deque)
    """Cells that another run is at, and when to look again."""
    workers: list[WorkerHandle] = field(default_factory=list)
    stopping: bool = False
    failed_starts: int = 0
    warned_locked: bool = False
    startup_error: Exception | None = None

    def events(self) -> Iterator[Event]:
        """Until every cell has ended or, when asked to stop, until no cell is under way."""
        while self.waiting or self.locked_cells or any(child.cells for child in self.workers):
            if not self.stopping and self.stop_asked():
                self._stop()
            while self.locked_cells and self.locked_cells[0][0] <= monotonic():
                self.waiting.append([self.locked_cells.popleft()[1]])
            self._assign()
            heard = wait([child.pipe for child in self.workers], TICK_S)
            if not heard:
                self._kill_hung_ranks()
                yield Idle()
            for child in [child for child in self.workers if child.pipe in heard]:
                yield from self._on_message(child)
        if self.startup_error is not None:
            raise self.startup_error

    def kill(self) -> None:
        """At once; what idles has nothing to lose."""
        for child in self.workers:
            child.kill()
        self.workers.clear()

    def _stop(self) -> None:
        self.stopping = True
        self.waiting.clear()
        self.locked_cells.clear()
        for child in self.workers:
            if child.cells:
                send(child, StopWorker())

    def _assign(self) -> None:
        """Cells to whoever is idle, and processes to cells."""
        for child in self.workers:
            if child.idle and self.waiting:
                group = self.waiting.popleft()
                child.idle, child.cells = False, {cell.id: cell for cell in group}
                send(child, [CellTask(cell, self.planned_attempts.get(cell.id, 0)) for cell in group])
        free = sum(not child.cells for child in self.workers)
        while len(self.workers) < self.jobs and free < len(self.waiting):
            self.workers.append(spawn_worker(self.task, self.team))
            free += 1

    def _on_message(self, child: WorkerHandle) -> Iterator[Event]:
        try:
            message = child.pipe.recv()
        except (EOFError, OSError):
            yield from self._on_worker_exit(child)
            return
        match message:
            case WorkerReady():
                child.was_ready = child.idle = True
            case CellBegan(cell_id):
                yield CellStarted(child.cells[cell_id])
            case CellAdvanced(cell_id, progress):
                yield CellProgress(child.cells[cell_id], progress)
            case CellRemark(cell_id, text):
                yield CellWarning(child.cells[cell_id], text)
            case CellLocked(cell_id):
                yield from self._retry_later(child.cells.pop(cell_id))
            case CellDone(cell_id, record):
                yield from self._on_cell_finished(child.cells.pop(cell_id), record)
            case WorkerFailed(error):
                child.cells.clear()
                self.startup_error = error
                self._stop()

    def _kill_hung_ranks(self) -> None:
        """Who hangs at birth tells nobody, nor does a leader that is stopped; those that follow it leave it then."""
        for child in self.workers:
            child.check_startup()
            if child.cells and any(not process.is_alive() for process in child.followers):
                child.follower_died_at = child.follower_died_at or monotonic()
                if monotonic() - child.follower_died_at > ORPHAN_GRACE_S:
                    child.process.kill()

    def _retry_later(self, cell: Cell) -> Iterator[Event]:
        if not self.warned_locked:
            yield CellWarning(cell, "another run is at it; this one goes on with the rest, and waits")
        self.warned_locked = True
        if not self.stopping:
            self.locked_cells.append((monotonic() + LOCK_RETRY_S, cell))

    def _on_cell_finished(self, cell: Cell, record: Record) -> Iterator[Event]:
        if record["state"] == "interrupted" and not self.stopping and not self.stop_asked():
            # somebody stopped this process, and not the run
            self.waiting.append([cell])
        else:
            yield CellFinished(cell, record)

    def _on_worker_exit(self, child: WorkerHandle) -> Iterator[Event]:
        self.workers.remove(child)
        child.process.join()
        child.kill()
        cause = child.describe_exit()
        self.failed_starts = 0 if child.was_ready else self.failed_starts + 1
        if self.failed_starts >= MAX_FAILED_STARTS:
            raise WorkloadError(f"the processes that run cells die before they begin: {cause}")
        if self.team is not None and self.team.external_rendezvous is not None and (self.waiting or self.locked_cells):
            # its team was started by somebody else, who may start another
            self.startup_error = ProcessLostError(
                "the processes of this run are at their end; started again, they go on from here"
            )
            self.waiting.clear()
            self.locked_cells.clear()
        lost = list(child.cells.values())
        if len(lost) > 1 and not self.stopping:
            self.waiting.extend([cell] for cell in lost)
        elif len(lost) == 1:
            record = _lost_record(lost[0], self.task.store, child.process.pid, cause)
            yield from self._retry_later(lost[0]) if record is None else [CellFinished(lost[0], record)]


def _lost_record(cell: Cell, store: ResultsFolder, pid: int, cause: str) -> Record | None:
    """Its record, unless another run has taken the cell over; None while that run is at it."""
    lease = Lease(store, cell.id)
    if not lease.acquire():
        return None
    try:
        record = store.read_record(cell.id) or {"id": cell.id, "config": cell.config.to_dict(), "attempts": 1}
        if record.get("state", "interrupted") == "interrupted" and record.get("process", {}).get("pid", pid) == pid:
            record |= {"state": "lost", "error": f"the process of this cell died: {cause}"}
            store.write_record(cell.id, record)
        return record
    finally:
        lease.release()
