"""The tables of `fdabench plan`: one row for each strategy and workload, or one row for each cell."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from fdabench.accounting.fleets import Fleet
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.status import CellStatus
from fdabench.formatting import format_bytes, format_count, format_duration
from fdabench.planning.fleet_forecast import planned_seconds
from fdabench.planning.forecast import ByteRange, forecast_bytes
from fdabench.registry.registry import Registry
from fdabench.tables import Column, Record, Table, column

STATUSES = ("done", "failed", "stale", "to run")
UNKNOWN = "unknown"


class PlannedCell(NamedTuple):
    """A cell with its status, and forecasts of its bytes and its time."""

    cell_status: CellStatus
    bound: ByteRange | None
    """Exact if low == high; None if the bytes cannot be forecast."""
    seconds: Mapping[str, tuple[float, float] | None] = {}
    """The least and the most time on each fleet that the user names; None where it cannot be estimated."""


def forecast_cells(
    statuses: Sequence[CellStatus],
    convention: str,
    registry: Registry,
    fleets: Mapping[str, Fleet],
    step_s: Sequence[float],
) -> list[PlannedCell]:
    """Forecast the bytes of each cell, and its time on fleets.

    Args:
        statuses: the cells with their statuses.
        convention: how bytes are counted, a name of `CONVENTIONS`.
        registry: the components that the cells name.
        fleets: the machines that the user names.
        step_s: the mean seconds of a local step of each cell; empty if there are no fleets.

    Returns:
        One forecast for each cell, in the same order.
    """
    planned = []
    for index, status in enumerate(statuses):
        cell = ResolvedCell(status.cell.config, registry)
        times = {name: planned_seconds(cell, convention, fleet, step_s[index]) for name, fleet in fleets.items()}
        planned.append(PlannedCell(status, forecast_bytes(cell, convention), times))
    return planned


def strategies_table(cells: Sequence[PlannedCell], convention: str) -> Table:
    """Return one row for each strategy and workload: number of seeds, their statuses, and the bytes of one seed."""
    groups: dict[str, list[PlannedCell]] = {}
    for cell in cells:
        groups.setdefault(_without_seed(cell), []).append(cell)
    columns = (
        column("what"),
        column("seeds"),
        column("status"),
        column("bytes", f"bytes of each ({convention})"),
        *_time_columns(cells),
        column("why"),
    )
    return Table([_group_row(group) for group in groups.values()], columns, cell_records(cells))


def cells_table(cells: Sequence[PlannedCell], convention: str) -> Table:
    """Return one row for each cell."""
    columns = (
        column("cell"),
        column("what"),
        column("status"),
        Column("bytes", f"bytes ({convention})", _bytes),
        *_time_columns(cells),
        column("why"),
    )
    return Table(cell_records(cells), columns)


def _time_columns(cells: Sequence[PlannedCell]) -> list[Column]:
    """Return a column for each fleet. In the records of programs the times are seconds."""
    names = dict.fromkeys(name for cell in cells for name in cell.seconds)
    return [Column(f"fleet_{name}", f"time on fleet {name}", _time_of(name)) for name in names]


def _time_of(name: str) -> Callable[[Record], str]:
    def text(record: Record) -> str:
        seeds = record.get(f"fleet_{name}")
        return str(seeds) if seeds else _time_span(record[f"fleet_{name}_least_s"], record[f"fleet_{name}_most_s"])

    return text


def _time_span(least: float | None, most: float | None) -> str:
    if least is None or most is None:
        return UNKNOWN
    return " to ".join(dict.fromkeys((format_duration(least), format_duration(most))))


def _times(cell: PlannedCell) -> dict[str, float | None]:
    """The least and the most seconds on each fleet, for programs."""
    return {
        f"fleet_{name}_{end}_s": None if span is None else span[at]
        for name, span in cell.seconds.items()
        for at, end in enumerate(("least", "most"))
    }


def _bytes(record: Record) -> str:
    least, most = record["bytes_least"], record["bytes_most"]
    return span(None if least is None else ByteRange(least, most))


def cell_records(cells: Sequence[PlannedCell]) -> list[dict[str, object]]:
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
            **_times(cell),
            "changed": [change._asdict() for change in cell.cell_status.changed],
        }
        for cell in cells
    ]


def total(cells: Sequence[PlannedCell]) -> str:
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


def _without_seed(priced_cell: PlannedCell) -> str:
    cell = priced_cell.cell_status.cell
    return json.dumps([cell.label, cell.config.model_dump(exclude={"seed"})], sort_keys=True)


def _group_row(group: Sequence[PlannedCell]) -> dict[str, str]:
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
        **{
            f"fleet_{name}": ", ".join(
                dict.fromkeys(_time_span(*(priced_cell.seconds[name] or (None, None))) for priced_cell in group)
            )
            for name in group[0].seconds
        },
        "why": "; ".join(reasons),
    }
