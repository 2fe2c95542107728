"""What a run tells of its cells."""

from typing import NamedTuple

from fdabench.experiment.recorder import Progress
from fdabench.results.folder import Record
from fdabench.suite.cell import Cell


class CellStarted(NamedTuple):
    cell: Cell


class CellProgress(NamedTuple):
    cell: Cell
    progress: Progress


class CellWarning(NamedTuple):
    """Something is not as it should be; the cell runs on."""

    cell: Cell
    text: str


class CellFinished(NamedTuple):
    cell: Cell
    record: Record


class Idle(NamedTuple):
    """Nothing happened for a while."""


Event = CellStarted | CellProgress | CellWarning | CellFinished | Idle
