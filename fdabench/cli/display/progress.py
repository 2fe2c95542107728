"""Reports the progress of a run on stderr, and in notes that `fdabench status` reads.

On a terminal the display is updated in place. In a pipe there is a line for each finished cell, and a line every minute
if no cell ends.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from enum import Enum
from time import monotonic
from typing import Protocol, Self

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.text import Text

from fdabench.cli.console import err, print_note
from fdabench.cli.display.event_lines import (
    ResultLines,
    RunningColumns,
    format_progress,
    format_running,
    format_warning,
)
from fdabench.cli.display.pace import note_path
from fdabench.errors import ResultError, UsageError
from fdabench.execution import events
from fdabench.experiment.recorder import Progress
from fdabench.export.curves import Evaluation
from fdabench.export.live import LiveLog
from fdabench.formatting import format_duration
from fdabench.metrics import Metric
from fdabench.results.cell_record import FAILURE_STATES
from fdabench.results.files import remove, write_json
from fdabench.results.folder import ResultsFolder

HEARTBEAT_S = 60.0
"""Seconds without output after which `PlainReporter` prints a line."""


class ProgressReporter(Protocol):
    """Receives the events of a run and prints them."""

    def print_line(self, text: str) -> None:
        """Print a line that is about the run and not about an event."""
        ...

    def on_event(self, event: events.Event) -> None:
        """Update the display for an event, which the run passes on in order."""
        ...


class Verbosity(Enum):
    """How much of a run is printed."""

    QUIET = "failures only"
    NORMAL = "cells"
    VERBOSE = "cells and every evaluation"

    @classmethod
    def from_flags(cls, quiet: bool, verbose: bool) -> Self:
        """Return the verbosity for `--quiet` and `--verbose`.

        Raises:
            UsageError: both are given.
        """
        if quiet and verbose:
            raise UsageError("--quiet and --verbose are both given; give one of them")
        return cls.QUIET if quiet else cls.VERBOSE if verbose else cls.NORMAL


@contextmanager
def progress_reporter(verbosity: Verbosity, cells: int, result_lines: ResultLines) -> Iterator[ProgressReporter]:
    """Yield the reporter for a run.

    On a terminal, the reporter updates its lines in place. In a pipe, it appends lines.

    Args:
        verbosity: how much is printed.
        cells: the number of cells that the run will run.
        result_lines: formats the end of each cell.
    """
    if verbosity is Verbosity.QUIET:
        yield QuietReporter(result_lines)
        return
    reporter = LiveReporter(cells, result_lines) if err.is_terminal else PlainReporter(cells, result_lines)
    with reporter.live if isinstance(reporter, LiveReporter) else nullcontext():
        yield VerboseReporter(reporter, result_lines.metric) if verbosity is Verbosity.VERBOSE else reporter


class QuietReporter:
    """Prints failed cells only."""

    def __init__(self, result_lines: ResultLines) -> None:
        self._result_lines = result_lines

    def print_line(self, text: str) -> None:
        pass

    def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.CellFinished) and event.record.state in FAILURE_STATES:
            print_note(self._result_lines.line(event.cell, event.record))


class VerboseReporter:
    """Prints a line for every evaluation, in addition to what another reporter prints."""

    def __init__(self, reporter: ProgressReporter, metric: Metric) -> None:
        self._reporter, self._metric = reporter, metric

    def print_line(self, text: str) -> None:
        self._reporter.print_line(text)

    def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.CellProgress):
            self.print_line(f"       {event.cell.title}   {format_progress(event.progress, self._metric)}")
        self._reporter.on_event(event)


class EtaEstimator:
    """Estimates the time left from the share of the work that this run has done.

    Args:
        cells: the number of cells that the run will run.
        store: has the records of running cells, which have the step that a cell resumed from.
    """

    def __init__(self, cells: int, store: ResultsFolder) -> None:
        self.cells, self.done, self.failed = cells, 0, 0
        self.started_at = monotonic()
        self.running: dict[str, float] = {}
        self._store, self._resumed = store, dict[str, float]()

    def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.CellStarted):
            self.running[event.cell.id] = 0.0
        elif isinstance(event, events.CellProgress):
            self.running[event.cell.id] = event.progress.step / event.progress.budget
            if event.cell.id not in self._resumed:
                self._resumed[event.cell.id] = self._read_resumed_step(event.cell.id) / event.progress.budget
        elif isinstance(event, events.CellFinished):
            self.running.pop(event.cell.id, None)
            self.done += 1
            self.failed += event.record.state in FAILURE_STATES

    def left(self) -> str:
        """Format the time left; `...` until this run has done 2 % of one cell."""
        total = self.done + sum(self.running.values())
        share = total - sum(self._resumed.values())
        elapsed = monotonic() - self.started_at
        return f"{format_duration(elapsed * (self.cells - total) / share)} left" if share > 0.02 else "..."

    def _read_resumed_step(self, cell_id: str) -> int:
        """Return the step of the checkpoint that the cell resumed from; 0 if its record cannot be read."""
        with suppress(ResultError):
            record = self._store.read_record(cell_id)
            return record.resumed_at_step if record else 0
        return 0


class PlainReporter:
    """Prints a line for each finished cell, and a line every `HEARTBEAT_S` seconds if nothing else is printed."""

    def __init__(self, cells: int, result_lines: ResultLines) -> None:
        self._eta, self._last, self._result_lines = EtaEstimator(cells, result_lines.store), monotonic(), result_lines

    def print_line(self, text: str) -> None:
        print_note(text)
        self._last = monotonic()

    def on_event(self, event: events.Event) -> None:
        self._eta.on_event(event)
        eta = self._eta
        if isinstance(event, events.CellWarning):
            self.print_line(format_warning(event))
        elif isinstance(event, events.CellFinished):
            self.print_line(f"[{eta.done}/{eta.cells}] {self._result_lines.line(event.cell, event.record)}")
        elif monotonic() - self._last > HEARTBEAT_S:
            self.print_line(f"[{eta.done}/{eta.cells}] {len(eta.running)} running, {eta.failed} failed, {eta.left()}")


class RunningCell:
    """A running cell of `LiveReporter`, with an estimate of its time left.

    The rate is that between the first evaluation and the last one, because a resumed cell does not begin at step 0.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.progress: Progress | None = None
        self._first_step, self._first_at, self._last_at = 0, 0.0, 0.0

    def update(self, progress: Progress) -> None:
        """Record an evaluation."""
        self._last_at = monotonic()
        if self.progress is None:
            self._first_step, self._first_at = progress.step, self._last_at
        self.progress = progress

    def left(self) -> str:
        """Format the time left; `...` before the second evaluation."""
        seconds, steps = self._last_at - self._first_at, self.progress.step - self._first_step if self.progress else 0
        if self.progress is None or steps <= 0 or seconds <= 0:
            return "..."
        left = (self.progress.budget - self.progress.step) * seconds / steps - (monotonic() - self._last_at)
        return format_duration(left) if left >= 1 else "< 1 s"


class LiveReporter:
    """Displays a line for each running cell and a progress bar. Lines of finished cells scroll above them."""

    def __init__(self, cells: int, result_lines: ResultLines) -> None:
        self._eta, self._result_lines = EtaEstimator(cells, result_lines.store), result_lines
        self._running: dict[str, RunningCell] = {}
        self._columns = RunningColumns()
        self._bar = ProgressBar(
            BarColumn(20),
            MofNCompleteColumn(),
            TextColumn("cells  {task.fields[failed]}"),
            TimeElapsedColumn(),
            TextColumn("elapsed  {task.fields[left]}"),
            console=err,
        )
        self._task = self._bar.add_task("", total=cells, failed="", left="...")
        self.live = Live(console=err, get_renderable=self._draw, refresh_per_second=4, transient=True)

    def print_line(self, text: str) -> None:
        err.print(text, markup=False)

    def on_event(self, event: events.Event) -> None:
        self._eta.on_event(event)
        if isinstance(event, events.CellStarted):
            self._running[event.cell.id] = RunningCell(event.cell.title)
        elif isinstance(event, events.CellProgress):
            self._running.setdefault(event.cell.id, RunningCell(event.cell.title)).update(event.progress)
        elif isinstance(event, events.CellWarning):
            self.print_line(f" {format_warning(event)}")
        elif isinstance(event, events.CellFinished):
            self._running.pop(event.cell.id, None)
            self.print_line(f" {self._result_lines.line(event.cell, event.record, err.width - 1)}")
        failed = f"{self._eta.failed} failed" if self._eta.failed else ""
        self._bar.update(self._task, completed=self._eta.done, failed=failed, left=self._eta.left())

    def _draw(self) -> Group:
        metric, width = self._result_lines.metric, err.width
        running = list(self._running.values())
        for cell in running:
            self._columns = self._columns.widened(cell.title, cell.progress)
        lines = [
            format_running(cell.title, cell.progress, metric, width, cell.left(), self._columns) for cell in running
        ]
        return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in lines), self._bar)


class EvaluationLog:
    """Passes evaluations on to a log of `--log-to`.

    If an evaluation cannot be written, a warning is printed and no more evaluations are written. The run continues.

    Args:
        log: the log; None without `--log-to`.
        print_line: prints the warning.
    """

    def __init__(self, log: LiveLog | None, print_line: Callable[[str], None]) -> None:
        self._log, self._print_line = log, print_line

    def on_event(self, event: events.Event) -> None:
        """Write the evaluation, if the event is one."""
        if self._log is None or not isinstance(event, events.CellProgress):
            return
        progress, title = event.progress, event.cell.title.replace(" | ", " ").replace("/", "-")
        values = {"test_accuracy": progress.accuracy, "test_loss": progress.loss}
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        try:
            self._log.write(f"{title} {event.cell.id}", Evaluation(progress.step, progress.bytes_total, finite))
        except Exception as error:  # a tool may raise any exception, and none of them may end the run
            self._log = None
            self._print_line(f"warning: --log-to: {error}; no more evaluations are written to this log")

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            with suppress(Exception):
                self._log.close()


NOTE_INTERVAL_S = 2.0
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
        self._next_write[event.cell.id] = monotonic() + NOTE_INTERVAL_S
        progress = event.progress
        values = {"accuracy": progress.accuracy, "loss": progress.loss if math.isfinite(progress.loss) else None}
        note = {"step": progress.step, "budget": progress.budget, **values, "at": _now()}
        with suppress(ResultError):
            write_json(note_path(self._store, event.cell.id), note)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
