"""Events of a run: what a backend reports of its cells while they run."""

import logging
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


Event = CellStarted | CellProgress | CellWarning | CellFinished | Idle


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
            about = (record.state, record.steps, record.wall_s, cause[0] if cause else cell.title)
            logger.log(level, "%s after %d steps in %.1f s: %s", *about, extra={"cell": cell.id})
