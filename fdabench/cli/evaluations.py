"""The evaluations of one cell as a table, for the text page of a cell and for `show --output-format csv`."""

from collections.abc import Sequence
from typing import Any

from fdabench.cli.cell_results import CellResults
from fdabench.formatting import DASH, format_bytes, format_count, format_percent, format_significant
from fdabench.report.tables.build import records_of
from fdabench.tables import Record, Table, column


def _diagnostic(value: Any) -> str:
    return DASH if value is None else format_significant(float(value))


COLUMNS = (
    column("step", write=format_count),
    column("epoch", write=lambda epoch: f"{epoch:.2f}"),
    column("test_accuracy", "accuracy", lambda accuracy: format_percent(accuracy, 2)),
    column("test_loss", "test loss", format_significant),
    column("train_loss", "train loss", format_significant),
    column("bytes_total", "bytes", format_bytes),
    column("syncs", write=format_count),
    column("estimate", write=_diagnostic),
    column("variance", write=_diagnostic),
)


def evaluations_table(cell: CellResults) -> Table:
    """Return all evaluations. Programs get the columns of the table `evals`, with bytes by the suite's convention."""
    return Table(evaluation_records(cell), COLUMNS)


def evaluation_records(cell: CellResults) -> list[dict[str, Any]]:
    """Return one record for each evaluation, without the id of the cell."""
    return records_of(cell.evals.drop(columns="cell_id"))


def thinned(rows: Sequence[Record], most: int) -> list[Record]:
    """Return at most `most` rows, evenly spaced, with the first and the last among them.

    Args:
        rows: the rows.
        most: at least 2.

    >>> thinned([{"step": step} for step in range(10)], 3)
    [{'step': 0}, {'step': 4}, {'step': 9}]
    """
    if len(rows) <= most:
        return list(rows)
    return [rows[i * (len(rows) - 1) // (most - 1)] for i in range(most)]
