"""Events of a run: what is reported of its cells while they run.

`Event` is what `execution.scheduler.run_cells` yields. A backend reports the same events, and those of `BackendEvent`,
which the scheduler handles itself.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from fdabench.experiment.recorder import Progress
from fdabench.results.cell_record import FAILURE_STATES, CellRecord
from fdabench.suite.cell import Cell

logger = logging.getLogger(__name__)


class CellStarted(NamedTuple):
    """A process has started to run a cell."""

    cell: Cell


class CellProgress(NamedTuple):
    """A running cell was evaluated."""

    cell: Cell
    progress: Progress


class CellWarning(NamedTuple):
    """A problem that does not end the cell, such as a checkpoint that could not be read."""

    cell: Cell
    text: str


class CellFinished(NamedTuple):
    """A cell has ended in any state, with its final record."""

    cell: Cell
    record: CellRecord


class Idle(NamedTuple):
    """No event for about 0.2 seconds; progress displays use it to refresh."""


class CellLocked(NamedTuple):
    """Another run holds this cell."""

    cell: Cell


class CellsLost(NamedTuple):
    """The process of a batch died, or its node. The cells have not ended."""

    cells: Sequence[Cell]
    cause: str
    pid: int | None = None
    """Of the process, if it ran on this machine."""
    started: bool = True
    """Whether the process had started to run the cells."""
    remark: str = ""
    """The warning about each cell that is started again; empty: none."""


class WorkerFailed(NamedTuple):
    """A process ends because of an error that is not a cell's. The run stops and raises the error."""

    error: Exception


Event = CellStarted | CellProgress | CellWarning | CellFinished | Idle
BackendEvent = CellStarted | CellProgress | CellWarning | CellFinished | CellLocked | CellsLost | WorkerFailed


def log_event(event: Event) -> None:
    """Write an event to the log: the start and the end of cells, and remarks on them.

    Args:
        event: as a backend yields it.
    """
    match event:
        case CellStarted(cell):
            logger.info("started: %s", cell.title, extra={"cell": cell.id})
        case CellWarning(cell, text):
            logger.warning("%s", text, extra={"cell": cell.id})
        case CellFinished(cell, record):
            level = logging.ERROR if record.state in FAILURE_STATES else logging.INFO
            cause = record.error.strip().splitlines()[-1:]
            values = (record.state, record.steps, record.wall_s, cause[0] if cause else cell.title)
            logger.log(level, "%s after %d steps in %.1f s: %s", *values, extra={"cell": cell.id})
