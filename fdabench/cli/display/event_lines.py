"""Formats the events of a run as the lines that `run` prints to stderr."""

import math
import shlex
from dataclasses import dataclass
from typing import NamedTuple, Self

from fdabench.cli.display.cell_results import read_cell_results
from fdabench.cli.display.states import describe_cause
from fdabench.errors import ResultError
from fdabench.execution import events
from fdabench.experiment.recorder import Progress
from fdabench.formatting import format_bytes, format_count, format_duration
from fdabench.metrics import ACCURACY, METRICS, Metric
from fdabench.results.cell_record import FAILURE_STATES, CellRecord
from fdabench.results.folder import ResultsFolder, corruption_as_result_error
from fdabench.results.suite_lock import SuiteLock
from fdabench.suite.cell import Cell


def format_warning(event: events.CellWarning) -> str:
    """Format a warning about a cell as one line."""
    return f"note  {event.cell.title}: {event.text}"


def format_progress(progress: Progress, metric: Metric = ACCURACY) -> str:
    """Format the progress at the last evaluation: `2,400/4,000 steps  97.2 %  41.0 MB  37 syncs  Var/θ 0.44`.

    The last part is left out for a strategy without a threshold.
    """
    variance_ratio = (
        f"  Var/θ {progress.variance_over_theta:.2f}"
        if progress.variance_over_theta == progress.variance_over_theta
        else ""
    )
    value = metric.convert(progress.accuracy if metric.source == "accuracy" else progress.loss)
    outcome = "  ".join(_format_outcome(metric.format(value), progress.bytes_total, progress.syncs))
    return f"{format_count(progress.step)}/{format_count(progress.budget)} steps  {outcome}{variance_ratio}"


LEAST_TITLE = 24
"""Columns for the title of a running cell. `format_running` leaves out variance and syncs if there are fewer."""


class RunningColumns(NamedTuple):
    """Widths of columns that all running cells share. They only grow, so numbers stay in their place.

    Args:
        title: letters of the longest title so far.
        steps: letters of the longest number of steps so far.
    """

    title: int = 0
    steps: int = 0

    def widened(self, title: str, progress: Progress | None) -> Self:
        """Return widths at which this cell fits as well."""
        steps = len(format_count(progress.budget)) if progress is not None else 0
        return self._replace(title=max(self.title, len(title)), steps=max(self.steps, steps))


def format_running(
    title: str,
    progress: Progress | None,
    metric: Metric,
    width: int,
    left: str = "...",
    columns: RunningColumns | None = None,
) -> str:
    """Format a running cell as one line of a terminal.

    Steps, the metric, bytes and the time left are never cut. If the terminal is narrow, first the variance and then the
    syncs are left out, and then the title is shortened.

    Args:
        title: the title of the cell.
        progress: at the last evaluation; None before the first one.
        metric: the metric of the suite.
        width: columns of the terminal.
        left: the time to the end of the cell.
        columns: widths that the line shares with those of other cells; None: those of this cell.
    """
    columns = (columns or RunningColumns()).widened(title, progress)
    parts = _running_parts(progress, metric, left, columns) if progress is not None else []
    return _fit(_RUN, title, columns.title, parts, 4, width)


def _fit(start: str, title: str, column: int, parts: list[str], num_required: int, width: int) -> str:
    """Return `start`, the title and the parts as one line.

    Args:
        start: the beginning of the line.
        title: shortened if the parts leave no room for it.
        column: the most columns that the title takes; a shorter one is padded.
        parts: the last ones are left out if fewer than `LEAST_TITLE` columns are left for the title.
        num_required: the number of parts that are never left out.
        width: columns of the terminal.
    """
    parts = list(parts)
    while len(parts) > num_required and width - len(start) - len("  ".join(parts)) - 3 < min(column, LEAST_TITLE):
        parts.pop()
    numbers = f"   {'  '.join(parts)}" if parts else ""
    room = min(max(0, width - len(start) - len(numbers)), column)
    text = title.ljust(room) if len(title) <= room else f"{title[: max(0, room - 1)]}…"
    return f"{start}{text}{numbers}".rstrip()


def _running_parts(progress: Progress, metric: Metric, left: str, columns: RunningColumns) -> list[str]:
    """Format the numbers of a running cell at fixed widths, those that a narrow terminal leaves out last."""
    value = metric.convert(progress.accuracy if metric.source == "accuracy" else progress.loss)
    ratio = progress.variance_over_theta
    steps = f"{format_count(progress.step)}/{format_count(progress.budget)}"
    return [
        f"{steps:>{2 * columns.steps + 1}} steps",
        f"{metric.format(value):>7}",
        f"{format_bytes(progress.bytes_total):>7}",
        f"{left:>8} left",
        f"{format_count(progress.syncs):>{columns.steps}} syncs",
        f"Var/θ {ratio:.2f}" if math.isfinite(ratio) else "",
    ]


_RUN = " run  "


def _format_outcome(value: str, total: float, syncs: float) -> list[str]:
    return [value, format_bytes(total), f"{format_count(syncs)} syncs"]


@dataclass(frozen=True)
class ResultLines:
    """Formats how the cells of one results folder ended.

    Totals are those of the ledgers, as in `plan` and the report.
    """

    store: ResultsFolder
    lock: SuiteLock
    """The frozen suite."""

    @property
    def metric(self) -> Metric:
        """The metric of the suite."""
        return METRICS[self.lock.metric]

    def line(self, cell: Cell, record: CellRecord, width: int | None = None) -> str:
        """Format the end of a cell: one line for a result, three lines for a failure.

        Args:
            cell: the cell.
            record: its final record.
            width: columns of the terminal, which the line of a result does not exceed; None: any number.
        """
        state = record.state
        if state in FAILURE_STATES:
            return (
                f"{state}  {cell.title}\n       {describe_cause(record)}\n       traceback: {self._show_command(cell)}"
            )
        totals = self._format_totals(cell) if record.wall_s else []
        parts = [f"{format_count(record.steps)} steps", *totals] if totals else []
        if totals:
            samples = record.steps * cell.config.workers * cell.config.batch_size / record.wall_s
            parts += [format_duration(record.wall_s), f"{format_count(samples)} samples/s"]
        start, numbers = f"{state}  ", f"   {'  '.join(parts)}" if parts else ""
        if width is None:
            return f"{start}{cell.title}{numbers}"
        return _fit(start, cell.title, len(cell.title), parts, 3, width)

    def _show_command(self, cell: Cell) -> str:
        return shlex.join(["fdabench", "show", self.store.root.as_posix(), cell.id])

    def _format_totals(self, cell: Cell) -> list[str]:
        """Return accuracy, bytes and syncs; empty if there is no result, or its files cannot be read.

        A damaged file is reported when the conclusion of the run is computed.
        """
        try:
            with corruption_as_result_error(self.store.root):
                results = read_cell_results(self.store, self.lock, cell.id)
        except ResultError:
            return []
        if not results.has_result:
            return []
        run, metric = results.run, self.metric
        value = metric.format(metric.convert(run[f"final_{metric.source}"]))
        return _format_outcome(value, run["bytes_total"], run["syncs"])
