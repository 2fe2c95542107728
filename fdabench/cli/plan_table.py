"""The tables of `fdabench plan`: one row for each strategy and workload, or one row for each cell."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.status import CellStatus
from fdabench.formatting import format_bytes, format_count
from fdabench.planning.forecast import ByteRange, forecast_bytes
from fdabench.registry.registry import Registry
from fdabench.tables import Column, Record, Table, column

STATUSES = ("done", "failed", "stale", "to run")
UNKNOWN = "unknown"


class Priced(NamedTuple):
    """A cell with its status and the bytes that it sends."""

    cell_status: CellStatus
    bound: ByteRange | None
    """Exact if low == high; None if the bytes cannot be forecast."""


def priced(statuses: Sequence[CellStatus], convention: str, registry: Registry) -> list[Priced]:
    """Forecast the bytes of each cell.

    Args:
        statuses: the cells with their statuses.
        convention: how bytes are counted, a name of `CONVENTIONS`.
        registry: the components that the cells name.
    """
    return [
        Priced(status, forecast_bytes(ResolvedCell(status.cell.config, registry), convention)) for status in statuses
    ]


def folded_table(cells: Sequence[Priced], convention: str) -> Table:
    """Return one row for each strategy and workload: number of seeds, their statuses, and the bytes of one seed."""
    groups: dict[str, list[Priced]] = {}
    for cell in cells:
        groups.setdefault(_without_seed(cell), []).append(cell)
    columns = (
        column("what"),
        column("seeds"),
        column("status"),
        column("bytes", f"bytes of each ({convention})"),
        column("why"),
    )
    return Table([_group_row(group) for group in groups.values()], columns, cell_records(cells))


def cells_table(cells: Sequence[Priced], convention: str) -> Table:
    """Return one row for each cell."""
    columns = (
        column("cell"),
        column("what"),
        column("status"),
        Column("bytes", f"bytes ({convention})", _bytes),
        column("why"),
    )
    return Table(cell_records(cells), columns)


def _bytes(record: Record) -> str:
    least, most = record["bytes_least"], record["bytes_most"]
    return span(None if least is None else ByteRange(least, most))


def cell_records(cells: Sequence[Priced]) -> list[dict[str, object]]:
    """Return one record for each cell, for programs.

    Bytes are integers. `changed` has everything that has changed since the cell was run.
    """
    return [
        {
            "cell": cell.cell_status.cell.id,
            "what": cell.cell_status.cell.title,
            "label": cell.cell_status.cell.label,
            "seed": cell.cell_status.cell.config.seed,
            "status": cell.cell_status.status,
            "why": cell.cell_status.reason,
            "bytes_least": None if cell.bound is None else cell.bound.low,
            "bytes_most": None if cell.bound is None else cell.bound.high,
            "changed": [change._asdict() for change in cell.cell_status.changed],
        }
        for cell in cells
    ]


def total(cells: Sequence[Priced]) -> str:
    """Format the bytes of these cells together. Cells whose bytes cannot be forecast are counted separately."""
    bounds = [cell.bound for cell in cells if cell.bound is not None]
    if not bounds:
        return UNKNOWN
    text = span(ByteRange(sum(bound.low for bound in bounds), sum(bound.high for bound in bounds)))
    left_out = len(cells) - len(bounds)
    return f"{text}, without {format_count(left_out)} cells whose bytes are unknown" if left_out else text


def span(bound: ByteRange | None) -> str:
    """Format a range of bytes: `990 MB` if it is exact, otherwise `824 kB to 25.5 MB`; `unknown` for None."""
    if bound is None:
        return UNKNOWN
    return " to ".join(dict.fromkeys((format_bytes(bound.low), format_bytes(bound.high))))


def _without_seed(priced_cell: Priced) -> str:
    cell = priced_cell.cell_status.cell
    return json.dumps([cell.label, cell.config.model_dump(exclude={"seed"})], sort_keys=True)


def _group_row(group: Sequence[Priced]) -> dict[str, str]:
    """Return the row of one strategy and workload as texts."""
    cell = group[0].cell_status.cell
    counts = Counter(priced_cell.cell_status.status for priced_cell in group)
    status = ", ".join(f"{counts[name]} {name}" for name in STATUSES if counts[name])
    bounds = dict.fromkeys(span(priced_cell.bound) for priced_cell in group)
    reasons = dict.fromkeys(priced_cell.cell_status.reason for priced_cell in group if priced_cell.cell_status.reason)
    title = cell.title.removesuffix(f" s{cell.config.seed}")
    return {
        "what": title,
        "seeds": str(len(group)),
        "status": status,
        "bytes": ", ".join(bounds),
        "why": "; ".join(reasons),
    }
