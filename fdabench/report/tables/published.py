"""Builds the table `published`, which compares published numbers with measured ones."""

import math

from fdabench.analysis.data import ReportData
from fdabench.analysis.published import PublishedComparison, compare_with_published
from fdabench.formatting import DASH, format_bytes, format_count, format_percent, format_ratio, format_target
from fdabench.published.results import GRIDS
from fdabench.report.tables.build import ReportTable, table_of
from fdabench.tables import Column, Record, column


def published_tables(data: ReportData) -> list[ReportTable]:
    """Return the table, or an empty list if no cell corresponds to a published number."""
    comparison = compare_with_published(data)
    return [published_table(comparison)] if comparison.matched else []


def published_table(comparison: PublishedComparison) -> ReportTable:
    """Return one row for each published number that has a counterpart."""
    return table_of("published", "Published and measured", _note(comparison), comparison.frame, _COLUMNS)


def coverage_note(comparison: PublishedComparison) -> str:
    """Return how many published numbers have a counterpart, and how many are left out."""
    matched = f"{comparison.matched} of {comparison.total} published numbers have a counterpart"
    return f"{matched}; {comparison.left_out} are left out"


def published_grids() -> str:
    """Return the models, data sets and numbers of workers for which there are published numbers."""
    return ", ".join(
        f"{model} on {grid.dataset} with {grid.workers[0]} to {grid.workers[-1]} workers"
        for model, grid in GRIDS.items()
    )


def _note(comparison: PublishedComparison) -> str:
    notes = [
        f"{coverage_note(comparison)}. Published: arXiv 2405.20988 and its authors' logs, one run for each setting. "
        f"Measured: "
        "median [lowest, highest] of the cells with the same K and θ. Costs in the `paper` convention; a target is "
        "reached at the first evaluation strictly above it; rounds are syncs + 1."
    ]
    if comparison.frame["over_grid"].any():
        notes.append(
            "Costs to a target were published as median [lowest, highest] over all K and θ of the paper's grid, of the "
            "n of N runs that reached it in 100 nominal epochs (FedAdam: 1,001). Fewer values of K and θ, or fewer "
            "epochs, change the ratio; that of bytes changes most."
        )
    return " ".join(notes)


def _published(row: Record) -> str:
    text = _format_range(row["quantity"], row["published"], row["published_low"], row["published_high"])
    runs = f" of {row['published_reached']}/{row['published_runs']}" if row["over_grid"] else ""
    return text + runs


def _measured(row: Record) -> str:
    if not row["measured_reached"]:
        return "not reached"
    return _format_range(row["quantity"], row["measured"], row["measured_low"], row["measured_high"])


def _quantity(row: Record) -> str:
    if row["epoch"] is not None and math.isfinite(row["epoch"]):
        return f"{row['quantity']} at epoch {row['epoch']:.0f}"
    return f"{row['quantity']} to {format_target(row['target'])}"


def _format_range(quantity: str, middle: float, low: float, high: float) -> str:
    """A value with its range, unless the lowest and the highest value are equal or missing."""
    text = _format_value(quantity, middle)
    spread = math.isfinite(low) and low != high
    return f"{text} [{_format_value(quantity, low)}, {_format_value(quantity, high)}]" if spread else text


def _format_value(quantity: str, value: float) -> str:
    if quantity == "accuracy":
        return format_percent(value, 2)
    return format_bytes(value) if quantity == "bytes" else format_count(value)


def _change(row: Record) -> str:
    if math.isfinite(row["points"]):
        return f"{row['points']:+.2f} points"
    return f"{format_ratio(row['ratio'])}×" if math.isfinite(row["ratio"]) else DASH


_COLUMNS = (
    column("model"),
    column("partition"),
    column("strategy"),
    column("workers", "K"),
    column("theta", "θ", lambda theta: theta or DASH),
    Column("quantity", "quantity", _quantity),
    Column("published", "published", _published),
    Column("measured", "measured", _measured),
    Column("measured_reached", "reached", lambda row: f"{row['measured_reached']}/{row['cells']}"),
    column("seeds"),
    Column("ratio", "measured / published", _change),
    column("differs", "differs in", lambda differs: differs or DASH),
)
