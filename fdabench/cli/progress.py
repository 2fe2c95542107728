"""How far a run is: live on a terminal; in a pipe a line for each finished cell and a heartbeat a minute."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from fdabench.cli.console import err, in_bytes, in_time, remark
from fdabench.results.store import FAILURES, Record
from fdabench.run import events
from fdabench.run.recorder import Progress as CellProgress
from fdabench.suite.cell import Cell

HEARTBEAT_S = 60.0
MOST_LETTERS = 200


class Watch(Protocol):
    """Somebody who is shown a run."""

    def line(self, text: str) -> None: ...

    def sees(self, event: events.Event) -> None: ...


@contextmanager
def watching(quiet: bool, cells: int) -> Iterator[Watch]:
    """The right watch for where stderr goes."""
    if quiet:
        yield Blind()
    elif err.is_terminal:
        watch = OnTerminal(cells)
        with watch.live:
            yield watch
    else:
        yield InPipe(cells)


class Blind:
    """Shows failures only: they are never silent."""

    def line(self, text: str) -> None:
        pass

    def sees(self, event: events.Event) -> None:
        if isinstance(event, events.Ended) and event.record["state"] in FAILURES:
            remark(ending(event.cell, event.record, None))


class Clock:
    """Time left, from how much of the cells is done."""

    def __init__(self, cells: int) -> None:
        self.cells, self.done, self.failed = cells, 0, 0
        self.begun = monotonic()
        self.under_way: dict[str, float] = {}
        self.latest: dict[str, CellProgress] = {}

    def sees(self, event: events.Event) -> None:
        if isinstance(event, events.Moved):
            self.under_way[event.cell.id] = event.progress.step / event.progress.budget
            self.latest[event.cell.id] = event.progress
        elif isinstance(event, events.Ended):
            self.under_way.pop(event.cell.id, None)
            self.done += 1
            self.failed += event.record["state"] in FAILURES

    def left(self) -> str:
        share = self.done + sum(self.under_way.values())
        elapsed = monotonic() - self.begun
        return f"{in_time(elapsed * (self.cells - share) / share)} left" if share > 0.02 else "..."


class InPipe:
    """A line for each finished cell, and one a minute if nothing else happens."""

    def __init__(self, cells: int) -> None:
        self._clock, self._last = Clock(cells), monotonic()

    def line(self, text: str) -> None:
        remark(text)
        self._last = monotonic()

    def sees(self, event: events.Event) -> None:
        self._clock.sees(event)
        clock = self._clock
        if isinstance(event, events.Remarked):
            self.line(remarking(event))
        elif isinstance(event, events.Ended):
            self.line(
                f"[{clock.done}/{clock.cells}] {ending(event.cell, event.record, clock.latest.get(event.cell.id))}"
            )
        elif monotonic() - self._last > HEARTBEAT_S:
            self.line(
                f"[{clock.done}/{clock.cells}] {len(clock.under_way)} running, {clock.failed} failed, {clock.left()}"
            )


class OnTerminal:
    """Finished cells scroll by above; below, a line for each running cell, and a bar."""

    def __init__(self, cells: int) -> None:
        self._clock = Clock(cells)
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
            self.line(f" {ending(event.cell, event.record, self._clock.latest.get(event.cell.id))}")
        failed = f"{self._clock.failed} failed" if self._clock.failed else ""
        self._bar.update(self._task, completed=self._clock.done, failed=failed, left=self._clock.left())

    def _draw(self) -> Group:
        lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in self._running.values()]
        return Group(*lines, self._bar)


def remarking(event: events.Remarked) -> str:
    return f"note  {event.cell.title}: {event.text}"


def moving(progress: CellProgress) -> str:
    """`2,400/4,000 steps  97.2 %  41 MB  37 syncs  Var/θ 0.44`."""
    full = f"  Var/θ {progress.fullness:.2f}" if progress.fullness == progress.fullness else ""
    return f"{progress.step:,}/{progress.budget:,} steps  {_outcome(progress)}{full}"


def _outcome(progress: CellProgress) -> str:
    return f"{progress.accuracy * 100:.1f} %  {in_bytes(progress.bytes_total)}  {progress.syncs:,} syncs"


def ending(cell: Cell, record: Record, latest: CellProgress | None) -> str:
    """One line for a result; three for a failure."""
    state = record["state"]
    if state in FAILURES:
        return (
            f"{state}  {cell.title}\n       {_cause(record)}\n       fdabench show RESULTS {cell.id} has the traceback"
        )
    if "wall_s" not in record or latest is None:
        return f"{state}  {cell.title}"
    samples = record["steps"] * cell.config["workers"] * cell.config["batch_size"] / record["wall_s"]
    took = f"{in_time(record['wall_s'])}  {samples:,.0f} samples/s"
    return f"{state}  {cell.title}   {record['steps']:,} steps  {_outcome(latest)}  {took}"


def _cause(record: Record) -> str:
    """The traceback's last line, cut off where it is long; before it a plug-in's file and line where it has a part."""
    last = record.get("error", "").strip().splitlines()[-1:] or [""]
    text = "".join(letter if letter.isprintable() else " " for letter in last[0])
    shown = text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}..."
    return f"{record['plugin']}: {shown}" if record.get("plugin") else shown
