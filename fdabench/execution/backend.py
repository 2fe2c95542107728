"""The interface of backends, which run batches of cells: processes of this machine, or the tasks of a Ray cluster.

`execution.scheduler` decides which batch is run when. A backend starts batches, reports their events and stops them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from fdabench.datasets.base import DatasetTensors
from fdabench.execution.events import BackendEvent, CellFinished, CellLocked, CellsLost
from fdabench.execution.lease import Lease
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.experiment.status import FINISHED_STATUSES, cell_statuses
from fdabench.registry.registry import BUILT_IN, Registry
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder
from fdabench.suite.cell import Cell


@dataclass(frozen=True)
class RunContext:
    """What the process that starts a run has loaded for it.

    It is not part of `ExecutionConfig` because no other process receives it: a backend decides how data sets and the
    code of plug-ins reach its processes.

    Args:
        store: the folder that results are written to.
        data: the data sets of the cells by name, on the CPU.
        config: how the cells are executed.
        registry: the components that the cells name.
    """

    store: ResultsFolder
    data: Mapping[str, DatasetTensors]
    config: ExecutionConfig
    registry: Registry = BUILT_IN


class CellTask(NamedTuple):
    """A cell to run, unless another run has finished it in a later attempt than `attempts`."""

    cell: Cell
    attempts: int


def acquire(task: CellTask, store: ResultsFolder, registry: Registry) -> Lease | CellLocked | CellFinished:
    """Acquire the lease of a cell that still has to be run.

    Args:
        task: the cell, and its attempts whose result does not count.
        store: the results folder.
        registry: the components that the cell names.

    Returns:
        The lease, or the event of a cell that another run holds or has finished.

    Raises:
        ResultError: the results folder cannot be written.
    """
    cell, lease = task.cell, Lease(store, task.cell.id)
    if not lease.acquire():
        return CellLocked(cell)
    record = store.read_record(cell.id)
    if (
        record is not None
        and record.attempts > task.attempts
        and cell_statuses([cell], store, registry)[0].status in FINISHED_STATUSES
    ):
        lease.release()
        return CellFinished(cell, record)
    return lease


class WorkerPool(Protocol):
    """The processes of an open backend. Each runs one batch at a time.

    `max_tries` is the number of times that a cell is started in one run if its process dies each time.
    """

    max_tries: int

    @property
    def is_busy(self) -> bool:
        """Whether a batch is running."""
        ...

    def free_slots(self, num_waiting: int) -> int:
        """Return how many batches can be submitted now; may start processes for the other batches that wait.

        Args:
            num_waiting: batches that wait, at least 1.

        Raises:
            ProcessLostError: no batch can be run any more.
        """
        ...

    def submit(self, tasks: Sequence[CellTask]) -> Iterator[BackendEvent]:
        """Start a batch in a free slot; the caller exhausts the events.

        Raises:
            WorkloadError: no process can run the batch.
        """
        ...

    def wait(self, timeout_s: float) -> Iterator[BackendEvent]:
        """Yield what happens; nothing if nothing happens for `timeout_s` seconds.

        A batch ends with a `CellFinished` or a `CellLocked` of each cell, or with a `CellsLost`. After `request_stop` a
        batch that has not started may end without an event.

        Raises:
            WorkloadError: processes end before they are ready, or cannot run cells.
        """
        ...

    def request_stop(self) -> None:
        """Have running batches stop at their next step, with checkpoints. Returns at once."""
        ...

    def record_lost(self, lost: CellsLost) -> CellRecord | None:
        """Write and return the record of a single lost cell; None while another run holds the cell."""
        ...


class Backend(Protocol):
    """Where cells are run."""

    def check(self, cells: Sequence[Cell], context: RunContext) -> None:
        """Check that the cells can be run; called before anything is written.

        Raises:
            UsageError: they cannot.
        """
        ...

    def open(self, context: RunContext) -> AbstractContextManager[WorkerPool]:
        """Return a context manager of the processes. Those that still run at its end are killed."""
        ...
