"""The scheduler: which cells run as one batch, in which order, and what follows when a batch ends, fails or is lost.

It is the same for all backends. `run_cells` yields events; it prints nothing.
"""

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

from fdabench.errors import WorkloadError
from fdabench.execution.backend import Backend, CellTask, RunContext, WorkerPool
from fdabench.execution.events import (
    BackendEvent,
    CellFinished,
    CellLocked,
    CellsLost,
    CellWarning,
    Event,
    Idle,
    WorkerFailed,
)
from fdabench.experiment.build import batch_key
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.status import finished_attempts
from fdabench.registry.registry import BUILT_IN, Registry
from fdabench.suite.cell import Cell

TICK_S = 0.2
LOCK_RETRY_S = 1.0
"""Seconds between two attempts to acquire a cell that another run holds."""


def _never() -> bool:
    return False


def run_cells(
    cells: Sequence[Cell],
    context: RunContext,
    backend: Backend,
    should_stop: Callable[[], bool] = _never,
    previous_attempts: Mapping[str, int] | None = None,
) -> Generator[Event]:
    """Run all cells, those with the most work first.

    A request to stop ends running cells at their next step, with a checkpoint; other cells do not start. Closing the
    generator requests a stop as well; if one was requested before, the processes are killed. A cell that another run
    holds is waited for, and is not run again if that run finishes it.

    A cell whose process dies has the state `lost`, after as many tries as the backend makes. If the process ran several
    cells as one batch, it is unknown which of them was the cause, so each is run again alone.

    Args:
        cells: to be run.
        context: what they are computed with.
        backend: where they are run.
        should_stop: returns whether a stop was requested; called several times a second.
        previous_attempts: attempts of each cell, by id, whose result does not count; that of a later attempt of another
            run does. None: those of cells that are finished now.

    Yields:
        Events, in the order in which they happen.

    Raises:
        WorkloadError: there is no room for the data, or the processes of the backend cannot run cells.
        ResultError: the results folder cannot be written.
    """
    with backend.open(context) as pool:
        batches = deque(batch_cells(cells, context.config.cells_per_batch, context.registry))
        planned_attempts = finished_attempts(cells, context.store) if previous_attempts is None else previous_attempts
        scheduler = _Scheduler(pool, batches, should_stop, planned_attempts)
        try:
            yield from scheduler.events()
        except GeneratorExit:
            # a caller that closes a scheduler which is already stopping does not wait for it
            if not (scheduler.stopping or should_stop()):
                scheduler.should_stop = lambda: True
                deque(scheduler.events(), maxlen=0)
            raise


@dataclass
class _Scheduler:
    """Submits waiting batches to the pool of a backend and turns what it reports into events."""

    pool: WorkerPool
    waiting: deque[list[Cell]]
    should_stop: Callable[[], bool]
    planned_attempts: Mapping[str, int]
    """Attempts of each cell whose result does not count."""
    locked_cells: deque[tuple[float, Cell]] = field(default_factory=deque)
    """Cells that another run holds, with the time of the next attempt to acquire them."""
    losses: Counter[str] = field(default_factory=Counter)
    """How often the process of a cell died, by id."""
    stopping: bool = False
    warned_locked: bool = False
    error: Exception | None = None
    """An error that is not a cell's; raised when no cell is running any more."""

    def events(self) -> Iterator[Event]:
        """Yield events until every cell has ended or, after a request to stop, until no cell is running."""
        while self.waiting or self.locked_cells or self.pool.is_busy:
            if not self.stopping and self.should_stop():
                self._stop()
            while self.locked_cells and self.locked_cells[0][0] <= monotonic():
                self.waiting.append([self.locked_cells.popleft()[1]])
            while self.waiting and self.pool.free_slots(len(self.waiting)) > 0:
                yield from self._submit(self.waiting.popleft())
            is_idle = True
            for event in self.pool.wait(TICK_S):
                is_idle = False
                yield from self._on_event(event)
            if is_idle:
                yield Idle()
        if self.error is not None:
            raise self.error

    def _stop(self) -> None:
        self.stopping = True
        self.waiting.clear()
        self.locked_cells.clear()
        self.pool.request_stop()

    def _submit(self, batch: Sequence[Cell]) -> Iterator[Event]:
        tasks = [CellTask(cell, self.planned_attempts.get(cell.id, 0)) for cell in batch]
        for event in self.pool.submit(tasks):
            yield from self._on_event(event)

    def _on_event(self, event: BackendEvent) -> Iterator[Event]:
        match event:
            case CellLocked(cell):
                yield from self._retry_later(cell)
            case CellFinished(cell, record) if (
                record.state == "interrupted" and not self.stopping and not self.should_stop()
            ):
                # the process was stopped from outside, and the run was not
                self.waiting.append([cell])
            case CellsLost():
                yield from self._on_lost(event)
            case WorkerFailed(error):
                self.error = error
                self._stop()
            case _:
                yield event

    def _retry_later(self, cell: Cell) -> Iterator[Event]:
        if not self.warned_locked:
            yield CellWarning(
                cell, "another run has locked this cell; this run continues with the other cells and waits for it"
            )
        self.warned_locked = True
        if not self.stopping:
            self.locked_cells.append((monotonic() + LOCK_RETRY_S, cell))

    def _on_lost(self, lost: CellsLost) -> Iterator[Event]:
        """Run the cells of a dead process again, each alone; a single cell that has no tries left has ended."""
        self.losses.update(cell.id for cell in lost.cells)
        is_single = len(lost.cells) == 1
        for cell in lost.cells:
            if not self.stopping and (not is_single or self.losses[cell.id] < self.pool.max_tries):
                if lost.remark:
                    yield CellWarning(cell, lost.remark)
                self.waiting.append([cell])
            elif is_single and lost.started:
                record = self.pool.record_lost(lost)
                yield from self._retry_later(cell) if record is None else [CellFinished(cell, record)]
            elif is_single and not self.stopping:
                raise WorkloadError(f"worker processes ended before they were ready: {lost.cause:.300}")


def estimated_work(cell: Cell, registry: Registry = BUILT_IN) -> float:
    """An estimate of how long a cell takes, in units that only compare cells: samples times parameters."""
    resolved = ResolvedCell(cell.config, registry)
    samples = float(resolved.budget_steps * cell.config.workers * cell.config.batch_size)
    return samples * resolved.num_parameters


def batch_cells(cells: Sequence[Cell], cells_per_batch: int, registry: Registry = BUILT_IN) -> list[list[Cell]]:
    """Group cells whose workers can be rows of one matrix.

    Args:
        cells: of one suite.
        cells_per_batch: cells in a group, at most.
        registry: the components that the cells name.

    Returns:
        Groups with equal `batch_key`, the one with the most work first, so that no long cell is left for the end.
    """
    by_key: dict[str, list[Cell]] = {}
    for cell in cells:
        by_key.setdefault(batch_key(cell.config, registry), []).append(cell)
    groups = [
        group[start : start + cells_per_batch]
        for group in by_key.values()
        for start in range(0, len(group), cells_per_batch)
    ]
    return sorted(groups, key=lambda group: sum(estimated_work(cell, registry) for cell in group), reverse=True)
