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

from fdabench.cli.console import err, remark
from fdabench.cli.telling import Endings, moving, remarking
from fdabench.errors import UsageError
from fdabench.formatting import format_duration
from fdabench.results.store import FAILURES
from fdabench.run import events

HEARTBEAT_S = 60.0


class Watch(Protocol):
    """Somebody who is shown a run."""

    def line(self, text: str) -> None: ...

    def sees(self, event: events.Event) -> None: ...


class Loudness(Enum):
    """How much is told of a run."""

    QUIET = "failures only"
    NORMAL = "cells"
    VERBOSE = "cells and every evaluation"

    @classmethod
    def asked(cls, quiet: bool, verbose: bool) -> Self:
        """
        Raises:
            UsageError: both at once.
        """
        if quiet and verbose:
            raise UsageError("--quiet and --verbose: give one of them")
        return cls.QUIET if quiet else cls.VERBOSE if verbose else cls.NORMAL


@contextmanager
def watching(loudness: Loudness, cells: int, endings: Endings) -> Iterator[Watch]:
    """The right watch for where stderr goes, of a run of so many cells."""
    if loudness is Loudness.QUIET:
        yield Blind(endings)
        return
    watch = OnTerminal(cells, endings) if err.is_terminal else InPipe(cells, endings)
    with watch.live if isinstance(watch, OnTerminal) else nullcontext():
        yield EachEvaluation(watch) if loudness is Loudness.VERBOSE else watch


class Blind:
    """Shows failures only: they are never silent."""

    def __init__(self, endings: Endings) -> None:
        self._endings = endings

    def line(self, text: str) -> None:
        pass

    def sees(self, event: events.Event) -> None:
        if isinstance(event, events.Ended) and event.record["state"] in FAILURES:
            remark(self._endings.line(event.cell, event.record))


class EachEvaluation:
    """Beside what another watch shows, a line for every evaluation."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def line(self, text: str) -> None:
        self._watch.line(text)

    def sees(self, event: events.Event) -> None:
        if isinstance(event, events.Moved):
            self.line(f"       {event.cell.title}   {moving(event.progress)}")
        self._watch.sees(event)


class Clock:
    """Time left, from how much of the cells is done."""

    def __init__(self, cells: int) -> None:
        self.cells, self.done, self.failed = cells, 0, 0
        self.begun = monotonic()
        self.under_way: dict[str, float] = {}

    def sees(self, event: events.Event) -> None:
        if isinstance(event, events.Moved):
            self.under_way[event.cell.id] = event.progress.step / event.progress.budget
        elif isinstance(event, events.Ended):
            self.under_way.pop(event.cell.id, None)
            self.done += 1
            self.failed += event.record["state"] in FAILURES

    def left(self) -> str:
        share = self.done + sum(self.under_way.values())
        elapsed = monotonic() - self.begun
        return f"{format_duration(elapsed * (self.cells - share) / share)} left" if share > 0.02 else "..."


class InPipe:
    """A line for each finished cell, and one a minute if nothing else happens."""

    def __init__(self, cells: int, endings: Endings) -> None:
        self._clock, self._last, self._endings = Clock(cells), monotonic(), endings

    def line(self, text: str) -> None:
        remark(text)
        self._last = monotonic()

    def sees(self, event: events.Event) -> None:
        self._clock.sees(event)
        clock = self._clock
        if isinstance(event, events.Remarked):
            self.line(remarking(event))
        elif isinstance(event, events.Ended):
            self.line(f"[{clock.done}/{clock.cells}] {self._endings.line(event.cell, event.record)}")
        elif monotonic() - self._last > HEARTBEAT_S:
            self.line(
                f"[{clock.done}/{clock.cells}] {len(clock.under_way)} running, {clock.failed} failed, {clock.left()}"
            )


class OnTerminal:
    """Finished cells scroll by above; below, a line for each running cell, and a bar."""

    def __init__(self, cells: int, endings: Endings) -> None:
        self._clock, self._endings = Clock(cells), endings
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

    def line(self, text: str) -> None:
        err.print(text, markup=False)

    def sees(self, event: events.Event) -> None:
        self._clock.sees(event)
        if isinstance(event, events.Started):
            self._running[event.cell.id] = f" run  {event.cell.title}"
        elif isinstance(event, events.Moved):
            self._running[event.cell.id] = f" run  {event.cell.title}   {moving(event.progress)}"
        elif isinstance(event, events.Remarked):
            self.line(f" {remarking(event)}")
        elif isinstance(event, events.Ended):
            self._running.pop(event.cell.id, None)
            self.line(f" {self._endings.line(event.cell, event.record)}")
        failed = f"{self._clock.failed} failed" if self._clock.failed else ""
        self._bar.update(self._task, completed=self._clock.done, failed=failed, left=self._clock.left())

    def _draw(self) -> Group:
        lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in self._running.values()]
        return Group(*lines, self._bar)
