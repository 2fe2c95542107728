"""How far a cell under way is, as a run has noted it beside the cell's lease."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from fdabench.errors import ResultError
from fdabench.results.cell_record import CellRecord
from fdabench.results.files import read_json
from fdabench.results.folder import ResultsFolder


class CellPace(NamedTuple):
    """How far a cell is, and how fast it is."""

    step: int
    budget: int
    accuracy: float
    """At the last evaluation, fraction of the test set."""
    steps_per_s: float
    """Local steps of each worker per second since this attempt began; 0 before there is a second one to tell."""

    @property
    def left_s(self) -> float | None:
        """Seconds to the end of the budget; None while the rate is not known."""
        return (self.budget - self.step) / self.steps_per_s if self.steps_per_s > 0 else None


def read_pace(store: ResultsFolder, cell_id: str, record: CellRecord) -> CellPace | None:
    """
    Args:
        record: of a cell under way.

    Returns:
        None where nothing was noted in this attempt yet, or not by a fdabench that notes.
    """
    try:
        note = read_json(note_path(store, cell_id))
        at, began = datetime.fromisoformat(note["at"]), datetime.fromisoformat(record.started)
        made, seconds = note["step"] - record.resumed_at_step, (at - began).total_seconds()
        rate = made / seconds if seconds > 0 and made > 0 else 0.0
        return CellPace(int(note["step"]), int(note["budget"]), float(note["accuracy"]), rate) if at >= began else None
    except (ResultError, LookupError, TypeError, ValueError):
        return None


def note_path(store: ResultsFolder, cell_id: str) -> Path:
    return store.safe_path(".leases", f"{cell_id}.progress.json")
