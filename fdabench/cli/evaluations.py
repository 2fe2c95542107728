"""The evaluations of one cell as a table."""

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
    """All of them; programs get the columns of `evals`, bytes in the suite's convention."""
    return Table(evaluation_records(cell), COLUMNS)


def evaluation_records(cell: CellResults) -> list[dict[str, Any]]:
    return records_of(cell.evals.drop(columns="cell_id"))


def thinned(rows: Sequence[Record], most: int) -> list[Record]:
    """At most so many, evenly spaced, the first and the last among them.

    Args:
        most: 2 or more.
    """
    if len(rows) <= most:
        return list(rows)
    return [rows[i * (len(rows) - 1) // (most - 1)] for i in range(most)]
