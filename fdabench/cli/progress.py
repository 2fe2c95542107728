"""How far a run is: live on a terminal; in a pipe a line for each finished cell and a heartbeat a minute."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from enum import Enum
from time import monotonic
from typing import Protocol, Self

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from fdabench.cli.console import err, print_note
from fdabench.cli.event_lines import ResultLines, format_progress, format_warning
from fdabench.errors import UsageError
from fdabench.execution import events
from fdabench.formatting import format_duration
from fdabench.results.cell_record import FAILURE_STATES

HEARTBEAT_S = 60.0


class ProgressReporter(Protocol):
    """Somebody who is shown a run."""

    def print_line(self, text: str) -> None: ...

    def on_event(self, event: events.Event) -> None: ...


class Verbosity(Enum):
    """How much is told of a run."""

    QUIET = "failures only"
    NORMAL = "cells"
    VERBOSE = "cells and every evaluation"

    @classmethod
    def from_flags(cls, quiet: bool, verbose: bool) -> Self:
        """
        Raises:
            UsageError: both at once.
        """
        if quiet and verbose:
            raise UsageError("--quiet and --verbose: give one of them")
        return cls.QUIET if quiet else cls.VERBOSE if verbose else cls.NORMAL


@contextmanager
def progress_reporter(loudness: Verbosity, cells: int, endings: ResultLines) -> Iterator[ProgressReporter]:
    """The right watch for where stderr goes, of a run of so many cells."""
    if loudness is Verbosity.QUIET:
        yield QuietReporter(endings)
        return
    watch = LiveReporter(cells, endings) if err.is_terminal else PlainReporter(cells, endings)
    with watch.live if isinstance(watch, LiveReporter) else nullcontext():
        yield VerboseReporter(watch) if loudness is Verbosity.VERBOSE else watch


class QuietReporter:
    """Shows failures only: they are never silent."""

    def __init__(self, endings: ResultLines) -> None:
        self._endings = endings

    def print_line(self, text: str) -> None:
        pass

    def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.CellFinished) and event.record.state in FAILURE_STATES:
            print_note(self._endings.line(event.cell, event.record))


class VerboseReporter:
    """Beside what another watch shows, a line for every evaluation."""

    def __init__(self, watch: ProgressReporter) -> None:
        self._watch = watch

    def print_line(self, text: str) -> None:
        self._watch.print_line(text)

    def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.CellProgress):
            self.print_line(f"       {event.cell.title}   {format_progress(event.progress)}")
        self._watch.on_event(event)


class EtaEstimator:
    """Time left, from how much of the cells is done."""

    def __init__(self, cells: int) -> None:
        self.cells, self.done, self.failed = cells, 0, 0
        self.begun = monotonic()
        self.under_way: dict[str, float] = {}

    def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.CellProgress):
            self.under_way[event.cell.id] = event.progress.step / event.progress.budget
        elif isinstance(event, events.CellFinished):
            self.under_way.pop(event.cell.id, None)
            self.done += 1
            self.failed += event.record.state in FAILURE_STATES

    def left(self) -> str:
        share = self.done + sum(self.under_way.values())
        elapsed = monotonic() - self.begun
        return f"{format_duration(elapsed * (self.cells - share) / share)} left" if share > 0.02 else "..."


class PlainReporter:
    """A line for each finished cell, and one a minute if nothing else happens."""

    def __init__(self, cells: int, endings: ResultLines) -> None:
        self._clock, self._last, self._endings = EtaEstimator(cells), monotonic(), endings

    def print_line(self, text: str) -> None:
        print_note(text)
        self._last = monotonic()

    def on_event(self, event: events.Event) -> None:
        self._clock.on_event(event)
        clock = self._clock
        if isinstance(event, events.CellWarning):
            self.print_line(format_warning(event))
        elif isinstance(event, events.CellFinished):
            self.print_line(f"[{clock.done}/{clock.cells}] {self._endings.line(event.cell, event.record)}")
        elif monotonic() - self._last > HEARTBEAT_S:
            self.print_line(
                f"[{clock.done}/{clock.cells}] {len(clock.under_way)} running, {clock.failed} failed, {clock.left()}"
            )


class LiveReporter:
    """Finished cells scroll by above; below, a line for each running cell, and a bar."""

    def __init__(self, cells: int, endings: ResultLines) -> None:
        self._clock, self._endings = EtaEstimator(cells), endings
        self._running: dict[str, str] = {}
        self._bar = Progress(
            BarColumn(30),
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
        self._clock.on_event(event)
        if isinstance(event, events.CellStarted):
            self._running[event.cell.id] = f" run  {event.cell.title}"
        elif isinstance(event, events.CellProgress):
            self._running[event.cell.id] = f" run  {event.cell.title}   {format_progress(event.progress)}"
        elif isinstance(event, events.CellWarning):
            self.print_line(f" {format_warning(event)}")
        elif isinstance(event, events.CellFinished):
            self._running.pop(event.cell.id, None)
            self.print_line(f" {self._endings.line(event.cell, event.record)}")
        failed = f"{self._clock.failed} failed" if self._clock.failed else ""
        self._bar.update(self._task, completed=self._clock.done, failed=failed, left=self._clock.left())

    def _draw(self) -> Group:
        lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in self._running.values()]
        return Group(*lines, self._bar)
