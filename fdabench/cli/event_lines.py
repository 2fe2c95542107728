"""Formats the events of a run as the lines that `run` prints to stderr."""

import shlex
from dataclasses import dataclass

from fdabench.cli.cell_results import read_cell_results
from fdabench.cli.states import describe_cause
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
    outcome = _format_outcome(metric.format(value), progress.bytes_total, progress.syncs)
    return f"{format_count(progress.step)}/{format_count(progress.budget)} steps  {outcome}{variance_ratio}"


LEAST_TITLE = 24
"""Columns for the title of a running cell. `format_running` leaves out syncs and variance if there are fewer."""


def format_running(title: str, progress: Progress | None, metric: Metric, width: int) -> str:
    """Format a running cell as one line of a terminal.

    Steps, the metric and bytes are never cut. If the terminal is narrow, first the variance and then the syncs are left
    out, and then the title is shortened.

    Args:
        title: the title of the cell.
        progress: at the last evaluation; None before the first one.
        metric: the metric of the suite.
        width: columns of the terminal.
    """
    parts = format_progress(progress, metric).split("  ") if progress is not None else []
    least = min(len(title), LEAST_TITLE)
    while len(parts) > 3 and width - len(_RUN) - len("  ".join(parts)) - 3 < least:
        parts.pop()
    numbers = f"   {'  '.join(parts)}" if parts else ""
    room = max(0, width - len(_RUN) - len(numbers))
    text = title if len(title) <= room else f"{title[: max(0, room - 1)]}…"
    return f"{_RUN}{text}{numbers}"


_RUN = " run  "


def _format_outcome(value: str, total: float, syncs: float) -> str:
    return f"{value}  {format_bytes(total)}  {format_count(syncs)} syncs"


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

    def line(self, cell: Cell, record: CellRecord) -> str:
        """Format the end of a cell: one line for a result, three lines for a failure."""
        state = record.state
        if state in FAILURE_STATES:
            return (
                f"{state}  {cell.title}\n       {describe_cause(record)}\n       traceback: {self._show_command(cell)}"
            )
        outcome = self._format_totals(cell) if record.wall_s else ""
        if not outcome:
            return f"{state}  {cell.title}"
        samples = record.steps * cell.config.workers * cell.config.batch_size / record.wall_s
        throughput = f"{format_duration(record.wall_s)}  {format_count(samples)} samples/s"
        return f"{state}  {cell.title}   {format_count(record.steps)} steps  {outcome}  {throughput}"

    def _show_command(self, cell: Cell) -> str:
        return shlex.join(["fdabench", "show", self.store.root.as_posix(), cell.id])

    def _format_totals(self, cell: Cell) -> str:
        """Return accuracy, bytes and syncs; empty if there is no result, or its files cannot be read.

        A damaged file is reported when the conclusion of the run is computed.
        """
        try:
            with corruption_as_result_error(self.store.root):
                results = read_cell_results(self.store, self.lock, cell.id)
        except ResultError:
            return ""
        if not results.has_result:
            return ""
        run, metric = results.run, self.metric
        value = metric.format(metric.convert(run[f"final_{metric.source}"]))
        return _format_outcome(value, run["bytes_total"], run["syncs"])
