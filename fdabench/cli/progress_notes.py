"""Writes the progress of running cells to notes beside their leases, which `fdabench status` reads."""

import math
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic

from fdabench.cli.pace import note_path
from fdabench.errors import ResultError
from fdabench.execution import events
from fdabench.results.files import remove, write_json
from fdabench.results.folder import ResultsFolder

EVERY_S = 2.0
"""Seconds between two notes of one cell, at least."""


class ProgressNotes:
    """Writes a note when a cell makes progress and removes it when the cell ends.

    A note that cannot be written is left out, and the run continues.
    """

    def __init__(self, store: ResultsFolder) -> None:
        self._store, self._next_write = store, dict[str, float]()

    def on_event(self, event: events.Event) -> None:
        """Write or remove the note of the cell that the event is about."""
        if isinstance(event, events.CellProgress):
            self._write(event)
        elif isinstance(event, events.CellFinished):
            with suppress(ResultError):
                remove(note_path(self._store, event.cell.id))

    def _write(self, event: events.CellProgress) -> None:
        if monotonic() < self._next_write.get(event.cell.id, 0.0):
            return
        self._next_write[event.cell.id] = monotonic() + EVERY_S
        progress = event.progress
        shown = {"accuracy": progress.accuracy, "loss": progress.loss if math.isfinite(progress.loss) else None}
        note = {"step": progress.step, "budget": progress.budget, **shown, "at": _now()}
        with suppress(ResultError):
            write_json(note_path(self._store, event.cell.id), note)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
