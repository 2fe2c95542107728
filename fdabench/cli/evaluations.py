"""The evaluations of one cell as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from fdabench.cli.console import Table
from fdabench.cli.inspected import Inspected
from fdabench.report.text import DASH, byte_size, count, percent, significant

COLUMNS = ("step", "epoch", "accuracy", "test loss", "train loss", "bytes", "syncs", "estimate", "variance")


def evaluations_table(cell: Inspected) -> Table:
    """All of them; programs get the columns of `evals`, bytes in the suite's convention."""
    records = evaluation_records(cell)
    return Table(COLUMNS, [evaluation_row(record) for record in records], records)


def evaluation_records(cell: Inspected) -> list[dict[str, Any]]:
    frame = cell.evals.drop(columns="cell_id")
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def evaluation_row(record: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        count(record["step"]),
        f"{record['epoch']:.2f}",
        percent(record["test_accuracy"], 2),
        significant(record["test_loss"]),
        significant(record["train_loss"]),
        byte_size(record["bytes_total"]),
        count(record["syncs"]),
        _number(record["estimate"]),
        _number(record["variance"]),
    )


def thinned(rows: Sequence[tuple[str, ...]], most: int) -> list[tuple[str, ...]]:
    """At most so many, evenly spaced, the first and the last among them.

    Args:
        most: 2 or more.
    """
    if len(rows) <= most:
        return list(rows)
    return [rows[i * (len(rows) - 1) // (most - 1)] for i in range(most)]


def _number(value: Any) -> str:
    return DASH if value is None else significant(float(value))
