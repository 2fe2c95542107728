"""The Ray backend: batches of cells are tasks of a cluster whose nodes need nothing but fdabench.

What a cell depends on is sent to its node, and its results are written here, so this process holds the leases.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from time import monotonic
from typing import Any

import torch

from fdabench.errors import WorkloadError
from fdabench.execution.backend import Backend, CellTask, RunContext, WorkerPool, acquire
from fdabench.execution.events import BackendEvent, CellFinished, CellsLost, CellStarted
from fdabench.execution.lease import REFRESH_INTERVAL_S, Lease
from fdabench.execution.ray_cluster import alive_nodes, check_resources, connect, resources_for
from fdabench.execution.remote_folder import make_remote_cell, record_lost, record_result, record_started
from fdabench.execution.remote_worker import (
    MessageActor,
    NodeEvent,
    RemoteCell,
    RemoteConfig,
    RemoteResult,
    run_remote_cells,
)
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
        yield _RayBackend(jobs)


@dataclass(frozen=True)
class _RayBackend:
    """Tasks of the cluster that this process is connected to."""

    jobs: int | None

    def check(self, cells: Sequence[Cell], context: RunContext) -> None:
        """Check that for each cell there is a node with enough processors, GPUs and memory."""
        check_resources(cells, context, self.jobs)

    @contextmanager
    def open(self, context: RunContext) -> Iterator[WorkerPool]:
        """Send the data sets to the cluster; cancel all tasks and release their leases at the end."""
        driver_node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(MessageActor).options(num_cpus=0, scheduling_strategy=driver_node).remote()
        data = {name: ray.put(asdict(data_set)) for name, data_set in context.data.items()}
        pool = _RayPool(context, self.jobs, actor, data)
        try:
            yield pool
        finally:
            pool.cancel()
            ray.kill(actor)


def _on_node(
    config: RemoteConfig, remote_cells: Sequence[RemoteCell], data: Mapping[str, Any], actor: Any
) -> list[RemoteResult]:
    return run_remote_cells(
        config, remote_cells, data, actor.put.remote, lambda: bool(ray.get(actor.stop_requested.remote()))
    )


@dataclass
class _Task:
    """A batch of cells that was submitted to the cluster, and the leases of the cells."""

    cells: dict[str, Cell] = field(default_factory=dict)
    leases: list[Lease] = field(default_factory=list)
    began: set[str] = field(default_factory=set)
    """Ids of the cells that have started on a node."""

    def release(self) -> None:
        """Release the leases."""
        while self.leases:
            self.leases.pop().release()


@dataclass
class _RayPool:
    """The submitted tasks, and the actor that receives what they send."""

    context: RunContext
    jobs: int | None
    actor: Any
    data: Mapping[str, Any]
    """References to the fields of each data set."""
    tasks: dict[Any, _Task] = field(default_factory=dict)
    refreshed_at: float = field(default_factory=monotonic)
    max_tries: int = MAX_TRIES

    @property
    def is_busy(self) -> bool:
        """Whether a task is running or waits in the cluster."""
        return bool(self.tasks)

    def free_slots(self, num_waiting: int) -> int:
        """Tasks that the cluster has processors for. More would wait in the cluster and hold their cells."""
        threads = self.context.config.threads
        capacity = self.jobs or max(1, sum(int(node.get("CPU", 0) // threads) for node in alive_nodes()))
        return capacity - len(self.tasks)

    def submit(self, tasks: Sequence[CellTask]) -> Iterator[BackendEvent]:
        """Submit the cells that no other run holds or has finished."""
        task = _Task()
        for cell_task in tasks:
            lease = acquire(cell_task, self.context.store, self.context.registry)
            if isinstance(lease, Lease):
                task.cells[cell_task.cell.id] = cell_task.cell
                task.leases.append(lease)
            else:
                yield lease
        if task.cells:
            self.tasks[self._submit(task)] = task

    def wait(self, timeout_s: float) -> Iterator[BackendEvent]:
        """Yield what the nodes have sent, then how tasks have ended."""
        if not self.tasks:
            time.sleep(timeout_s)
        ended = ray.wait(list(self.tasks), timeout=timeout_s)[0] if self.tasks else []
        for event in ray.get(self.actor.drain.remote()):
            yield from self._on_event(event)
        for ref in ended:
            yield from self._on_task_end(ref)
        if monotonic() - self.refreshed_at > REFRESH_INTERVAL_S:
            self.refreshed_at = monotonic()
            for lease in [lease for task in self.tasks.values() for lease in task.leases]:
                lease.refresh()

    def request_stop(self) -> None:
        """Have nodes stop their cells, and cancel the tasks that have not started."""
        self.actor.request_stop.remote()
        for ref, task in self.tasks.items():
            if not task.began:
                ray.cancel(ref)

    def record_lost(self, lost: CellsLost) -> CellRecord | None:
        """Write the record of a lost cell, whose lease this process still holds."""
        (cell,) = lost.cells
        return record_lost(cell.id, self.context.store, lost.cause)

    def cancel(self) -> None:
        """Cancel all tasks and release their leases."""
        for ref, task in self.tasks.items():
            ray.cancel(ref, force=True)
            task.release()
        self.tasks.clear()

    def _submit(self, task: _Task) -> Any:
        cells, context = list(task.cells.values()), self.context
        request = resources_for(cells, context, self.jobs)
        if not any(request.fits(node) for node in alive_nodes()):
            task.release()
            raise WorkloadError(f"no node has enough resources any more: {cells[0].title} needs {request}")
        options = {"num_cpus": request.cpus, "num_gpus": request.gpus, "memory": request.memory, "max_retries": 0}
        # Ray shows a task only the accelerators that it may use, so it takes the first of them
        device = torch.device(context.config.device.type)
        config = RemoteConfig(replace(context.config, device=device), pack_plugins(context.registry))
        remote_cells = [make_remote_cell(cell, context) for cell in cells]
        data = self.data[cells[0].config.dataset]
        return ray.remote(_on_node).options(**options).remote(config, remote_cells, data, self.actor)

    def _on_event(self, event: NodeEvent) -> Iterator[BackendEvent]:
        """Yield an event of a node. Events of tasks that have ended are dropped."""
        task = next((task for task in self.tasks.values() if event.cell.id in task.cells), None)
        if task is not None:
            if isinstance(event, CellStarted):
                task.began.add(event.cell.id)
                record_started(event.cell, self.context)
            yield event

    def _on_task_end(self, ref: object) -> Iterator[BackendEvent]:
        task = self.tasks.pop(ref)
        try:
            results = ray.get(ref)
            for result in results:
                record_result(result, self.context.store)
            for result in results:
                yield CellFinished(task.cells[result.record.id], result.record)
        except TaskCancelledError:
            return
        except RayTaskError as error:
            cause = getattr(error, "cause", error)
            reason = str(cause).strip().splitlines()[-1:] or [type(cause).__name__]
            raise WorkloadError(
                f"a node cannot run cells; install the same version of fdabench there: {reason[0]:.300}"
            ) from error
        except RayError as error:
            yield CellsLost(
                list(task.cells.values()),
                str(error).strip().splitlines()[0],
                started=bool(task.began),
                remark="the node or the process of this cell died; the cell is started again",
            )
        finally:
            task.release()
