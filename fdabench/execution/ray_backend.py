"""The Ray backend: cells are tasks of a cluster whose nodes need nothing but fdabench.

What a cell depends on is sent to its node, and its results are written here. Events, stops and records are those of
`execution.local_backend`.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from time import monotonic
from typing import Any

from fdabench.errors import WorkloadError
from fdabench.execution.backend import Backend
from fdabench.execution.batching import batch_cells
from fdabench.execution.events import CellFinished, CellProgress, CellStarted, CellWarning, Event, Idle
from fdabench.execution.lease import REFRESH_INTERVAL_S, Lease
from fdabench.execution.local_backend import LOCK_RETRY_S, TICK_S, RunContext
from fdabench.execution.ray_cluster import alive_nodes, check_resources, connect, resources_for
from fdabench.execution.remote_folder import make_remote_cell, record_lost, record_result, record_started
from fdabench.execution.remote_worker import (
    Message,
    MessageActor,
    RemoteCell,
    RemoteConfig,
    RemoteProgress,
    RemoteResult,
    RemoteStarted,
    RemoteWarning,
    run_remote_cells,
)
from fdabench.experiment.status import FINISHED_STATUSES, attempts, cell_statuses
from fdabench.registry.plugin_loading import pack_plugins
from fdabench.results.cell_record import CellRecord
from fdabench.suite.cell import Cell

try:
    import ray
    from ray.exceptions import RayError, RayTaskError, TaskCancelledError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ModuleNotFoundError:
    pass  # `ray_cluster.connect` raises UsageError

MAX_TRIES = 3
"""Attempts of a cell whose node or process dies, in one run."""


@contextmanager
def ray_backend(address: str | None, jobs: int | None) -> Iterator[Backend]:
    """Connect to a cluster.

    Args:
        address: `HOST:PORT`; None: as RAY_ADDRESS says, or the cluster of this machine.
        jobs: tasks that run at the same time; None: as many as the cluster has processors for.

    Raises:
        UsageError: Ray is not installed, or there is no cluster.
    """
    with connect(address):
        yield Backend(partial(_run_cells, jobs), partial(check_resources, jobs=jobs))


def _on_node(
    config: RemoteConfig, remote_cells: Sequence[RemoteCell], data: Mapping[str, Any], actor: Any
) -> list[RemoteResult]:
    return run_remote_cells(
        config, remote_cells, data, actor.put.remote, lambda: bool(ray.get(actor.stop_requested.remote()))
    )


def _run_cells(
    jobs: int | None,
    cells: Sequence[Cell],
    context: RunContext,
    should_stop: Callable[[], bool],
    previous_attempts: Mapping[str, int] | None,
) -> Generator[Event]:
    """As `execution.local_backend.run_cells`; a cell whose node dies is started again on another node.

    Raises:
        WorkloadError: the nodes cannot run cells.
        ResultError: the results folder cannot be written.
    """
    driver_node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(MessageActor).options(num_cpus=0, scheduling_strategy=driver_node).remote()
    data = {name: ray.put(asdict(each)) for name, each in context.data.items()}
    planned_attempts = attempts(cells, context.store) if previous_attempts is None else previous_attempts
    groups = deque(batch_cells(cells, context.cells_per_batch, context.registry))
    scheduler = _RayScheduler(context, jobs, actor, data, groups, should_stop, planned_attempts)
    try:
        yield from scheduler.events()
    except GeneratorExit:
        if not (scheduler.stopping or should_stop()):
            scheduler.should_stop = lambda: True
            deque(scheduler.events(), maxlen=0)
        raise
    finally:
        scheduler.shutdown()
        ray.kill(actor)


@dataclass
class _Task:
    """A batch of cells that was submitted to the cluster, and the leases of the cells."""

    cells: dict[str, Cell]
    leases: list[Lease]
    began: set[str] = field(default_factory=set)
    """Ids of the cells that have started on a node."""


@dataclass
class _RayScheduler:
    """Submits waiting cells as tasks and turns their messages into events."""

    context: RunContext
    jobs: int | None
    actor: Any
    data: Mapping[str, Any]
    """References to the fields of each data set."""
    waiting: deque[list[Cell]]
    should_stop: Callable[[], bool]
    planned_attempts: Mapping[str, int]
    locked_cells: deque[tuple[float, Cell]] = field(default_factory=deque)
    tasks: dict[Any, _Task] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)
    stopping: bool = False
    warned_locked: bool = False
    refreshed_at: float = field(default_factory=monotonic)

    def events(self) -> Iterator[Event]:
        """Yield events until every cell has ended or, after a request to stop, until no cell is running."""
        while self.waiting or self.locked_cells or self.tasks:
            if not self.stopping and self.should_stop():
                self._stop()
            while self.locked_cells and self.locked_cells[0][0] <= monotonic():
                self.waiting.append([self.locked_cells.popleft()[1]])
            yield from self._assign()
            if not self.tasks:
                time.sleep(TICK_S)
            ended = ray.wait(list(self.tasks), timeout=TICK_S)[0] if self.tasks else []
            messages = ray.get(self.actor.drain.remote())
            for message in messages:
                yield from self._on_message(message)
            for task in ended:
                yield from self._on_task_end(task)
            if not messages and not ended:
                yield Idle()
            self._refresh_leases()

    def shutdown(self) -> None:
        """Cancel all tasks and release their leases."""
        for ref, task in self.tasks.items():
            ray.cancel(ref, force=True)
            _release(task)
        self.tasks.clear()

    def _stop(self) -> None:
        self.stopping = True
        self.waiting.clear()
        self.locked_cells.clear()
        self.actor.request_stop.remote()
        for ref, task in self.tasks.items():
            if not task.began:
                ray.cancel(ref)

    def _assign(self) -> Iterator[Event]:
        while self.waiting and len(self.tasks) < (self.jobs or self._capacity()):
            task = _Task({}, [])
            for cell in self.waiting.popleft():
                yield from self._acquire(cell, task)
            if task.cells:
                self.tasks[self._submit(task)] = task

    def _capacity(self) -> int:
        """Tasks that the cluster has processors for. More would wait in the cluster and hold their cells."""
        return max(1, sum(int(node.get("CPU", 0) // self.context.threads) for node in alive_nodes()))

    def _acquire(self, cell: Cell, task: _Task) -> Iterator[Event]:
        """Add the cell to the task, unless another run holds it or has finished it."""
        store, lease = self.context.store, Lease(self.context.store, cell.id)
        if not lease.acquire():
            if not self.warned_locked:
                yield CellWarning(
                    cell, "another run has locked this cell; this run continues with the other cells and waits for it"
                )
            self.warned_locked = True
            self.locked_cells.append((monotonic() + LOCK_RETRY_S, cell))
            return
        record = store.read_record(cell.id)
        done_since = (
            record is not None and record.attempts > self.planned_attempts.get(cell.id, 0) + self.tries[cell.id]
        )
        if (
            record is not None
            and done_since
            and cell_statuses([cell], store, self.context.registry)[0].status in FINISHED_STATUSES
        ):
            lease.release()
            yield CellFinished(cell, record)
            return
        task.cells[cell.id] = cell
        task.leases.append(lease)

    def _submit(self, task: _Task) -> Any:
        cells, context = list(task.cells.values()), self.context
        request = resources_for(cells, context, self.jobs)
        if not any(request.fits(node) for node in alive_nodes()):
            _release(task)
            raise WorkloadError(f"no node has enough resources any more: {cells[0].title} needs {request}")
        options = {"num_cpus": request.cpus, "num_gpus": request.gpus, "memory": request.memory, "max_retries": 0}
        config = RemoteConfig(
            context.device.type, context.engine, context.threads, context.checkpoint_s, pack_plugins(context.registry)
        )
        remote_cells = [make_remote_cell(cell, context) for cell in cells]
        data = self.data[cells[0].config.dataset]
        return ray.remote(_on_node).options(**options).remote(config, remote_cells, data, self.actor)

    def _on_message(self, message: Message) -> Iterator[Event]:
        """Yield the event of a message. Messages of tasks that have ended are dropped."""
        for task in self.tasks.values():
            if (cell := task.cells.get(message.cell_id)) is not None:
                match message:
                    case RemoteStarted():
                        task.began.add(cell.id)
                        record_started(cell, self.context)
                        yield CellStarted(cell)
                    case RemoteProgress(_, progress):
                        yield CellProgress(cell, progress)
                    case RemoteWarning(_, text):
                        yield CellWarning(cell, text)

    def _on_task_end(self, ref: object) -> Iterator[Event]:
        task = self.tasks.pop(ref)
        try:
            for result in ray.get(ref):
                cell = task.cells[result.record.id]
                record_result(result, self.context.store)
                yield from self._on_cell_finished(cell, result.record)
        except TaskCancelledError:
            return
        except RayTaskError as error:
            cause = getattr(error, "cause", error)
            reason = str(cause).strip().splitlines()[-1:] or [type(cause).__name__]
            raise WorkloadError(
                f"a node cannot run cells; install the same version of fdabench there: {reason[0]:.300}"
            ) from error
        except RayError as error:
            yield from self._lost(task, error)
        finally:
            _release(task)

    def _on_cell_finished(self, cell: Cell, record: CellRecord) -> Iterator[Event]:
        if record.state == "interrupted" and not self.stopping:
            # the process was stopped from outside, and the run was not
            self.waiting.append([cell])
        else:
            yield CellFinished(cell, record)

    def _lost(self, task: _Task, error: Exception) -> Iterator[Event]:
        """Start the cells of a dead node or process again, each alone, because any of a batch may be the cause."""
        cause = str(error).strip().splitlines()[0]
        for cell in task.cells.values():
            self.tries[cell.id] += 1
            if self.tries[cell.id] < MAX_TRIES and not self.stopping:
                yield CellWarning(cell, "the node or the process of this cell died; the cell is started again")
                self.waiting.append([cell])
            elif cell.id not in task.began and not self.stopping:
                raise WorkloadError(f"worker processes ended before they were ready: {cause:.300}")
            elif (record := record_lost(cell.id, self.context.store, cause)) is not None:
                yield CellFinished(cell, record)

    def _refresh_leases(self) -> None:
        if monotonic() - self.refreshed_at > REFRESH_INTERVAL_S:
            self.refreshed_at = monotonic()
            for task in self.tasks.values():
                for lease in task.leases:
                    lease.refresh()


def _release(task: _Task) -> None:
    while task.leases:
        task.leases.pop().release()
