"""The local backend: worker processes on this machine run batches of cells."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from time import monotonic

from fdabench.distributed.rendezvous import request_shutdown, wait_for_shutdown
from fdabench.errors import ProcessLostError, WorkloadError
from fdabench.execution.backend import CellTask, RunContext, WorkerPool
from fdabench.execution.events import BackendEvent, CellFinished, CellLocked, CellsLost, WorkerFailed
from fdabench.execution.lease import Lease
from fdabench.execution.shared_data import export_datasets
from fdabench.execution.worker_handle import WorkerHandle, send, start_worker
from fdabench.execution.worker_main import ProcessConfig, StopWorker, WorkerReady
from fdabench.registry.plugin_loading import pack_plugins
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder
from fdabench.suite.cell import Cell

MAX_FAILED_STARTS = 3
ORPHAN_GRACE_S = 15.0
"""Seconds that the leader of a group has to report the failure of another rank before it is killed."""


class LocalBackend:
    """Worker processes on this machine, each of which holds the leases of its cells."""

    def check(self, cells: Sequence[Cell], context: RunContext) -> None:
        """Raise nothing: `preflight.make_context` has checked the device, the engine and the data."""

    @contextmanager
    def open(self, context: RunContext) -> Iterator[WorkerPool]:
        """Write the data sets for the processes, and kill all processes at the end.

        Raises:
            WorkloadError: there is no room for the data.
        """
        with export_datasets(context.data) as folder:
            plugins, log_folder = pack_plugins(context.registry), context.store.root.absolute()
            pool = _LocalPool(ProcessConfig(context.config, plugins, folder, log_folder), context.store)
            try:
                yield pool
            finally:
                pool.kill()
                distributed = context.config.distributed
                if distributed is not None and distributed.external_rendezvous is not None:
                    request_shutdown(distributed.external_rendezvous)
                    if distributed.hosts_store:
                        wait_for_shutdown(distributed.external_rendezvous)


@dataclass
class _LocalPool:
    """The worker processes. They start when cells wait for them, and run until the backend is closed."""

    config: ProcessConfig
    store: ResultsFolder
    handles: list[WorkerHandle] = field(default_factory=list)
    failed_starts: int = 0
    """Processes that have ended before they were ready, since one was ready."""
    group_has_ended: bool = False
    """Whether the process group that another program started has ended; it cannot be started again here."""
    max_tries: int = 1

    @property
    def is_busy(self) -> bool:
        """Whether a process has cells."""
        return any(worker.cells for worker in self.handles)

    def free_slots(self, num_waiting: int) -> int:
        """Return the number of idle processes, after starting processes for the other waiting batches."""
        if self.group_has_ended:
            raise ProcessLostError("the process group of this run has ended; the same command continues the run")
        free = sum(not worker.cells for worker in self.handles)
        while len(self.handles) < self.config.execution.jobs and free < num_waiting:
            self.handles.append(start_worker(self.config, self.store))
            free += 1
        return sum(worker.idle for worker in self.handles)

    def submit(self, tasks: Sequence[CellTask]) -> Iterator[BackendEvent]:
        """Send the batch to an idle process."""
        worker = next(worker for worker in self.handles if worker.idle)
        worker.idle, worker.cells = False, {task.cell.id: task.cell for task in tasks}
        send(worker, tasks)
        return iter(())

    def wait(self, timeout_s: float) -> Iterator[BackendEvent]:
        """Read one message of each process that has sent one."""
        ready = wait([worker.pipe for worker in self.handles], timeout_s)
        if not ready:
            self._kill_hung_ranks()
        for worker in [worker for worker in self.handles if worker.pipe in ready]:
            yield from self._on_message(worker)

    def request_stop(self) -> None:
        """Send the request to all processes that have cells."""
        for worker in self.handles:
            if worker.cells:
                send(worker, StopWorker())

    def record_lost(self, lost: CellsLost) -> CellRecord | None:
        """Write the record of a lost cell, unless another run has continued it; None while that run holds the cell."""
        (cell,) = lost.cells
        lease = Lease(self.store, cell.id)
        if not lease.acquire():
            return None
        try:
            record = self.store.read_record(cell.id) or CellRecord(
                id=cell.id, state="interrupted", attempts=1, config=cell.config
            )
            if record.state == "interrupted" and (record.process is None or record.process.pid == lost.pid):
                record = record.with_changes({"state": "lost", "error": f"the process of this cell died: {lost.cause}"})
                self.store.write_record(record)
            return record
        finally:
            lease.release()

    def kill(self) -> None:
        """Kill all processes. Running cells keep their last checkpoints."""
        for worker in self.handles:
            worker.kill()
        self.handles.clear()

    def _on_message(self, worker: WorkerHandle) -> Iterator[BackendEvent]:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._on_exit(worker)
            return
        match message:
            case WorkerReady():
                worker.was_ready = worker.idle = True
                return
            case CellLocked(cell) | CellFinished(cell, _):
                del worker.cells[cell.id]
            case WorkerFailed():
                worker.cells.clear()
        yield message

    def _kill_hung_ranks(self) -> None:
        """Kill processes that hang: those that do not start in time, and leaders that do not report a dead rank."""
        for worker in self.handles:
            worker.check_startup()
            if worker.cells and any(not process.is_alive() for process in worker.followers):
                worker.follower_died_at = worker.follower_died_at or monotonic()
                if monotonic() - worker.follower_died_at > ORPHAN_GRACE_S:
                    worker.process.kill()

    def _on_exit(self, worker: WorkerHandle) -> Iterator[BackendEvent]:
        self.handles.remove(worker)
        worker.process.join()
        worker.kill()
        cause = worker.describe_exit()
        self.failed_starts = 0 if worker.was_ready else self.failed_starts + 1
        if self.failed_starts >= MAX_FAILED_STARTS:
            raise WorkloadError(f"{MAX_FAILED_STARTS} worker processes ended before they were ready: {cause}")
        # another program, such as torchrun, started the group and may start it again
        self.group_has_ended = self.config.execution.has_external_group
        if worker.cells:
            yield CellsLost(list(worker.cells.values()), cause, worker.process.pid)
