"""The local backend: worker processes on this machine run cells, several at a time.

`run_cells` yields events; it prints nothing.
"""

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
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder
from fdabench.suite.cell import Cell

TICK_S = 0.2
MAX_FAILED_STARTS = 3
ORPHAN_GRACE_S = 15.0
"""Seconds that the leader of a group has to report the failure of another rank before it is killed."""
LOCK_RETRY_S = 1.0
"""Seconds between two attempts to acquire a cell that another run holds."""


@dataclass(frozen=True)
class RunContext:
    """What cells are computed with, and the folder that their results are written to."""

    store: ResultsFolder
    data: Mapping[str, DatasetTensors]
    device: torch.device
    engine: str
    jobs: int
    """Worker processes that run at the same time, at most."""
    threads: int
    """Of each process. With another number sums are rounded in another order."""
    cells_per_batch: int
    """Cells that are computed as one batch, at most."""
    registry: Registry = BUILT_IN
    checkpoint_s: float = DEFAULT_INTERVAL_S
    """Seconds between the checkpoints of a cell, at least."""
    distributed: DistributedConfig | None = None
    """The ranks of each cell; None where one process holds all workers of a cell."""


def _never() -> bool:
    return False


def run_cells(
    cells: Sequence[Cell],
    context: RunContext,
    should_stop: Callable[[], bool] = _never,
    previous_attempts: Mapping[str, int] | None = None,
) -> Generator[Event]:
    """Run all cells, those with the most work first.

    A request to stop ends running cells at their next step, with a checkpoint; other cells do not start. Closing the
    generator requests a stop as well; if one was requested before, the processes are killed. A cell that another run
    holds is waited for, and is not run again if that run finishes it.

    A cell whose process dies has the state `lost`. If the process ran several cells as one batch, it is unknown which
    of them was the cause, so each is run again alone.

    Args:
        cells: to be run.
        context: what they are computed with.
        should_stop: returns whether a stop was requested; called several times a second.
        previous_attempts: the attempts of each cell before this run was planned, by id. None: read from the results
            folder.

    Yields:
        Events, in the order in which they happen.

    Raises:
        WorkloadError: there is no room for the data, or worker processes end before they are ready.
        ResultError: the results folder cannot be written.
    """
    with export_datasets(context.data) as folder:
        plugins, log_folder = pack_plugins(context.registry), context.store.root.absolute()
        compute = ComputeConfig(folder, context.device, context.engine, context.threads, plugins, log_folder)
        config = WorkerConfig(context.store, compute, context.checkpoint_s)
        groups = deque(batch_cells(cells, context.cells_per_batch, context.registry))
        planned_attempts = attempts(cells, context.store) if previous_attempts is None else previous_attempts
        scheduler = _LocalScheduler(config, context.distributed, context.jobs, groups, should_stop, planned_attempts)
        try:
            yield from scheduler.events()
        except GeneratorExit:
            # a caller that closes a scheduler which is already stopping does not wait for it
            if not (scheduler.stopping or should_stop()):
                scheduler.should_stop = lambda: True
                deque(scheduler.events(), maxlen=0)
            raise
        finally:
            scheduler.kill()
            if context.distributed is not None and context.distributed.external_rendezvous is not None:
                request_shutdown(context.distributed.external_rendezvous)
                if context.distributed.hosts_store:
                    wait_for_shutdown(context.distributed.external_rendezvous)


@dataclass
class _LocalScheduler:
    """Assigns waiting cells to worker processes and turns their messages into events."""

    config: WorkerConfig
    distributed: DistributedConfig | None
    jobs: int
    waiting: deque[list[Cell]]
    should_stop: Callable[[], bool]
    planned_attempts: Mapping[str, int]
    """Attempts of each cell when the run was planned."""
    locked_cells: deque[tuple[float, Cell]] = field(default_factory=deque)
    """Cells that another run holds, with the time of the next attempt to acquire them."""
    workers: list[WorkerHandle] = field(default_factory=list)
    stopping: bool = False
    failed_starts: int = 0
    warned_locked: bool = False
    startup_error: Exception | None = None

    def events(self) -> Iterator[Event]:
        """Yield events until every cell has ended or, after a request to stop, until no cell is running."""
        while self.waiting or self.locked_cells or any(child.cells for child in self.workers):
            if not self.stopping and self.should_stop():
                self._stop()
            while self.locked_cells and self.locked_cells[0][0] <= monotonic():
                self.waiting.append([self.locked_cells.popleft()[1]])
            self._assign()
            ready = wait([child.pipe for child in self.workers], TICK_S)
            if not ready:
                self._kill_hung_ranks()
                yield Idle()
            for child in [child for child in self.workers if child.pipe in ready]:
                yield from self._on_message(child)
        if self.startup_error is not None:
            raise self.startup_error

    def kill(self) -> None:
        """Kill all processes. Running cells keep their last checkpoints."""
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
        """Send cells to idle processes, and start processes for the other waiting cells."""
        for child in self.workers:
            if child.idle and self.waiting:
                group = self.waiting.popleft()
                child.idle, child.cells = False, {cell.id: cell for cell in group}
                send(child, [CellTask(cell, self.planned_attempts.get(cell.id, 0)) for cell in group])
        free = sum(not child.cells for child in self.workers)
        while len(self.workers) < self.jobs and free < len(self.waiting):
            self.workers.append(spawn_worker(self.config, self.distributed))
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
        """Kill processes that hang: those that do not start in time, and leaders that do not report a dead rank."""
        for child in self.workers:
            child.check_startup()
            if child.cells and any(not process.is_alive() for process in child.followers):
                child.follower_died_at = child.follower_died_at or monotonic()
                if monotonic() - child.follower_died_at > ORPHAN_GRACE_S:
                    child.process.kill()

    def _retry_later(self, cell: Cell) -> Iterator[Event]:
        if not self.warned_locked:
            yield CellWarning(
                cell, "another run has locked this cell; this run continues with the other cells and waits for it"
            )
        self.warned_locked = True
        if not self.stopping:
            self.locked_cells.append((monotonic() + LOCK_RETRY_S, cell))

    def _on_cell_finished(self, cell: Cell, record: CellRecord) -> Iterator[Event]:
        if record.state == "interrupted" and not self.stopping and not self.should_stop():
            # the process was stopped from outside, and the run was not
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
            raise WorkloadError(f"{MAX_FAILED_STARTS} worker processes ended before they were ready: {cause}")
        if (
            self.distributed is not None
            and self.distributed.external_rendezvous is not None
            and (self.waiting or self.locked_cells)
        ):
            # another program, such as torchrun, started the group and may start it again
            self.startup_error = ProcessLostError(
                "the process group of this run has ended; the same command continues the run"
            )
            self.waiting.clear()
            self.locked_cells.clear()
        lost = list(child.cells.values())
        if len(lost) > 1 and not self.stopping:
            self.waiting.extend([cell] for cell in lost)
        elif len(lost) == 1:
            record = _lost_record(lost[0], self.config.store, child.process.pid, cause)
            yield from self._retry_later(lost[0]) if record is None else [CellFinished(lost[0], record)]


def _lost_record(cell: Cell, store: ResultsFolder, pid: int, cause: str) -> CellRecord | None:
    """The record of a lost cell, unless another run has continued it; None while that run holds the cell."""
    lease = Lease(store, cell.id)
    if not lease.acquire():
        return None
    try:
        record = store.read_record(cell.id) or CellRecord(
            id=cell.id, state="interrupted", attempts=1, config=cell.config
        )
        if record.state == "interrupted" and (record.process is None or record.process.pid == pid):
            record = record.with_changes({"state": "lost", "error": f"the process of this cell died: {cause}"})
            store.write_record(record)
        return record
    finally:
        lease.release()
