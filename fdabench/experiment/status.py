"""Determines the status of each cell of a suite, and its reason: done, failed, stale or to run."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch

from fdabench.experiment.code_fingerprint import code_hashes
from fdabench.formatting import join_first
from fdabench.registry.registry import BUILT_IN, Registry
from fdabench.results.cell_record import NO_RETRY_STATES, SUCCESS_STATES, CellRecord
from fdabench.results.folder import ResultsFolder, corruption_as_result_error
from fdabench.suite.cell import Cell

FINISHED_STATUSES = ("done", "failed")
"""Statuses of cells that are not run again by default."""
_FINISHED_STATES = (*SUCCESS_STATES, *NO_RETRY_STATES)

MAX_LISTED = 3
"""A line of text names at most this number of changes; JSON output has all."""


class CodeChange(NamedTuple):
    """A change of a file, the data of a plug-in, or torch: hashes or versions before and after, or `absent`."""

    what: str
    before: str
    after: str

    @property
    def summary(self) -> str:
        """The change without hashes."""
        return f"torch {self.before} -> {self.after}" if self.what == "torch" else f"{self.what} changed"

    @property
    def detail(self) -> str:
        """The change with the hashes or versions before and after."""
        return self.summary if self.what == "torch" else f"{self.summary} ({self.before} -> {self.after})"


class CellStatus(NamedTuple):
    """The status of one cell, and all changes of its code since it was run."""

    cell: Cell
    status: str
    reason: str = ""
    changed: tuple[CodeChange, ...] = ()


def cell_statuses(cells: Sequence[Cell], store: ResultsFolder, registry: Registry = BUILT_IN) -> list[CellStatus]:
    """Determine the status of each cell.

    Args:
        cells: of one suite.
        store: the results folder.
        registry: the components that the cells name.

    Raises:
        ResultError: a record is damaged.
    """
    return [_cell_status(cell, store, registry) for cell in cells]


FRESH = "run again because of --fresh"


def mark_all_to_run(statuses: Sequence[CellStatus]) -> list[CellStatus]:
    """Set the reason of finished cells to `FRESH`, for a run with `--fresh`, which runs all cells."""
    return [status._replace(reason=FRESH) if status.status in FINISHED_STATUSES else status for status in statuses]


def summarize(statuses: Sequence[CellStatus]) -> str:
    """Return the number of cells by status in one line.

    For example `20 done | 1 failed | 3 stale: monitors/sketch.py changed | 1 to run`.
    """
    counts = Counter(status.status for status in statuses)
    reasons = dict.fromkeys(reason for status in statuses if status.status == "stale" for reason in _reasons(status))
    repeated = {status.status for status in statuses if status.reason == FRESH}
    done = f"{counts['done']} done" + (f", {FRESH}" if "done" in repeated else "")
    stale = [f"{counts['stale']} stale: {join_first(list(reasons), MAX_LISTED)}"] if counts["stale"] else []
    retry = f", {FRESH}" if "failed" in repeated else " (--retry-failed runs them again)"
    failed = [f"{counts['failed']} failed{retry}"] if counts["failed"] else []
    return " | ".join([done, *failed, *stale, f"{counts['to run']} to run"])


def _cell_status(cell: Cell, store: ResultsFolder, registry: Registry) -> CellStatus:
    record = store.read_record(cell.id)
    if record is None or record.state not in _FINISHED_STATES:
        return CellStatus(cell, "to run", "" if record is None else record.state)
    with corruption_as_result_error(store.cell_dir(cell.id)):
        then, torch_then = record.code, str(record.environment["torch"])
    changed = _changed(then | {"torch": torch_then}, code_hashes(cell.config, registry) | {"torch": torch.__version__})
    if changed:
        return CellStatus(cell, "stale", join_first([change.detail for change in changed], MAX_LISTED), changed)
    if record.has_result and (damaged := store.damaged_table(cell.id)):
        return CellStatus(cell, "stale", f"{damaged} damaged")
    return CellStatus(cell, "done") if record.has_result else CellStatus(cell, "failed", record.state)


def attempts(cells: Sequence[Cell], store: ResultsFolder) -> dict[str, int]:
    """Return the number of attempts of each cell that has a record, by its id."""
    return {cell_id: record.attempts for cell_id, record in _records(cells, store).items()}


def finished_attempts(cells: Sequence[Cell], store: ResultsFolder) -> dict[str, int]:
    """Return the number of attempts of each cell that is done or has failed, by its id.

    Another run may be in an attempt that has not ended. A run that waits for it does not repeat what it finishes.
    """
    records = _records(cells, store).items()
    return {cell_id: record.attempts for cell_id, record in records if record.state in _FINISHED_STATES}


def _records(cells: Sequence[Cell], store: ResultsFolder) -> dict[str, CellRecord]:
    records = {cell.id: store.read_record(cell.id) for cell in cells}
    return {cell_id: record for cell_id, record in records.items() if record is not None}


def _changed(then: dict[str, str], now: dict[str, str]) -> tuple[CodeChange, ...]:
    names = sorted(then.keys() | now.keys())
    changes = (CodeChange(name, then.get(name, "absent"), now.get(name, "absent")) for name in names)
    return tuple(change for change in changes if change.before != change.after)


def _reasons(status: CellStatus) -> list[str]:
    return [change.summary for change in status.changed] or [status.reason]
