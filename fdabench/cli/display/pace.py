"""The progress of running cells, read from notes beside their leases. `progress.ProgressNotes` writes the notes."""

from datetime import datetime
from math import nan
from pathlib import Path
from typing import NamedTuple

from fdabench.errors import ResultError
from fdabench.results.cell_record import CellRecord
from fdabench.results.files import read_json
from fdabench.results.folder import ResultsFolder


class CellPace(NamedTuple):
    """How many steps of a cell are done, and how many are done per second."""

    step: int
    budget: int
    accuracy: float
    """At the last evaluation, as a fraction of the test set."""
    steps_per_s: float
    """Local steps of each worker per second since this attempt began; 0 before its first step."""
    loss: float = nan
    """At the last evaluation, in nats; NaN if it is not finite."""

    @property
    def left_s(self) -> float | None:
        """Seconds to the end of the budget; None if the rate is not known yet."""
        return (self.budget - self.step) / self.steps_per_s if self.steps_per_s > 0 else None


def read_pace(store: ResultsFolder, cell_id: str, record: CellRecord) -> CellPace | None:
    """Read the progress of a running cell.

    Args:
        store: the results folder.
        cell_id: the id of the cell.
        record: the record of the cell, which has the start of this attempt.

    Returns:
        None if this attempt has written no note yet, or the note cannot be read.
    """
    try:
        note = read_json(note_path(store, cell_id))
        written_at, started_at = datetime.fromisoformat(note["at"]), datetime.fromisoformat(record.started)
        steps, seconds = note["step"] - record.resumed_at_step, (written_at - started_at).total_seconds()
        rate = steps / seconds if seconds > 0 and steps > 0 else 0.0
        return (
            CellPace(
                int(note["step"]), int(note["budget"]), float(note["accuracy"]), rate, float(note.get("loss") or nan)
            )
            if written_at >= started_at
            else None
        )
    except (ResultError, LookupError, TypeError, ValueError):
        return None


def note_path(store: ResultsFolder, cell_id: str) -> Path:
    """The path of the note of a cell."""
    return store.safe_path(".leases", f"{cell_id}.progress.json")
