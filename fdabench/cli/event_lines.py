"""What a run tells of its cells, as lines."""

import shlex
from dataclasses import dataclass

from fdabench.cli.cell_results import read_cell_results
from fdabench.cli.states import describe_cause
from fdabench.errors import ResultError
from fdabench.execution import events
from fdabench.experiment.recorder import Progress
from fdabench.formatting import format_bytes, format_count, format_duration, format_percent
from fdabench.results.cell_record import FAILURE_STATES, CellRecord
from fdabench.results.folder import ResultsFolder, corruption_as_result_error
from fdabench.results.suite_lock import SuiteLock
from fdabench.suite.cell import Cell


def format_warning(event: events.CellWarning) -> str:
    return f"note  {event.cell.title}: {event.text}"


def format_progress(progress: Progress) -> str:
    """`2,400/4,000 steps  97.2 %  41.0 MB  37 syncs  Var/θ 0.44`, at the last evaluation."""
    full = (
        f"  Var/θ {progress.variance_over_theta:.2f}"
        if progress.variance_over_theta == progress.variance_over_theta
        else ""
    )
    outcome = _outcome(progress.accuracy, progress.bytes_total, progress.syncs)
    return f"{format_count(progress.step)}/{format_count(progress.budget)} steps  {outcome}{full}"


def _outcome(accuracy: float, total: float, syncs: float) -> str:
    return f"{format_percent(accuracy)}  {format_bytes(total)}  {format_count(syncs)} syncs"


@dataclass(frozen=True)
class ResultLines:
    """How cells of one results folder ended. Totals are those of their ledgers, as in `plan` and the report."""

    store: ResultsFolder
    lock: SuiteLock
    """The frozen suite."""

    def line(self, cell: Cell, record: CellRecord) -> str:
        """One line for a result; three for a failure."""
        state = record.state
        if state in FAILURE_STATES:
            return (
                f"{state}  {cell.title}\n       {describe_cause(record)}\n       {self._command(cell)} has the "
                f"traceback"
            )
        outcome = self._totals(cell) if record.wall_s else ""
        if not outcome:
            return f"{state}  {cell.title}"
        samples = record.steps * cell.config.workers * cell.config.batch_size / record.wall_s
        took = f"{format_duration(record.wall_s)}  {format_count(samples)} samples/s"
        return f"{state}  {cell.title}   {format_count(record.steps)} steps  {outcome}  {took}"

    def _command(self, cell: Cell) -> str:
        return shlex.join(["fdabench", "show", self.store.root.as_posix(), cell.id])

    def _totals(self, cell: Cell) -> str:
        """Empty where there is no result, or its files are not to be seen yet; what is damaged is told later."""
        try:
            with corruption_as_result_error(self.store.root):
                found = read_cell_results(self.store, self.lock, cell.id)
        except ResultError:
            return ""
        run = found.run
        return _outcome(run["final_accuracy"], run["bytes_total"], run["syncs"]) if found.has_result else ""
