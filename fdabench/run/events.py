"""What a run tells of its cells."""

from typing import NamedTuple

from fdabench.results.store import Record
from fdabench.run.recorder import Progress
from fdabench.suite.cell import Cell


class Started(NamedTuple):
    cell: Cell


class Moved(NamedTuple):
    cell: Cell
    progress: Progress


class Remarked(NamedTuple):
    """Something is not as it should be; the cell runs on."""

    cell: Cell
    text: str


class Ended(NamedTuple):
    cell: Cell
    record: Record


class Tick(NamedTuple):
    """Nothing happened for a while."""


Event = Started | Moved | Remarked | Ended | Tick
