"""Published and measured side by side, as a table."""

import math
from typing import Any

from fdabench.published.facts import GRIDS
from fdabench.report.data import ReportData
from fdabench.report.published import Comparison, compare
from fdabench.report.tables import Table
from fdabench.report.text import DASH, byte_size, count, percent, ratio_number, target_name

COLUMNS = (
    "model",
    "partition",
    "strategy",
    "K",
    "θ",
    "quantity",
    "published",
    "measured",
    "reached",
    "seeds",
    "measured / published",
    "differs in",
)


def published_tables(data: ReportData) -> list[Table]:
    """The table, or nothing where no cell is a counterpart of a published number."""
    found = compare(data)
    return [versus_table(found)] if found.matched else []


def versus_table(found: Comparison) -> Table:
    rows = tuple(_row({str(key): value for key, value in row.items()}) for row in found.frame.to_dict("records"))
    return Table("published", "Published and measured", _note(found), found.frame, COLUMNS, rows, 0)


def tally(found: Comparison) -> str:
    return f"{found.matched} of {found.total} published numbers have a counterpart; {found.left_out} are left out"


def published_grids() -> str:
    """For which models, data and workers there are published numbers."""
    return ", ".join(
        f"{model} on {grid.dataset} with {grid.workers[0]} to {grid.workers[-1]} workers"
        for model, grid in GRIDS.items()
    )


def _note(found: Comparison) -> str:
    notes = [
        f"{tally(found)}. Published: arXiv 2405.20988 and its authors' logs, one run for each setting. Measured: "
        "median [lowest, highest] of the cells, K and θ being theirs. Costs in the `paper` convention; a target is "
        "reached at the first evaluation strictly above it; rounds are syncs + 1."
    ]
    if found.frame["over_grid"].any():
        notes.append(
            "Costs to a target were published as median [lowest, highest] over all K and θ of the paper's grid, of the "
            "n of N runs that reached it in 100 nominal epochs (FedAdam: 1,001): fewer K, θ or epochs here shift the "
            "ratio, bytes above all."
        )
    return " ".join(notes)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    quantity = row["quantity"]
    published = _ranged(quantity, row["published"], row["published_low"], row["published_high"])
    runs = f" of {row['published_reached']}/{row['published_runs']}" if row["over_grid"] else ""
    measured = _ranged(quantity, row["measured"], row["measured_low"], row["measured_high"])
    return (
        row["model"],
        row["partition"],
        row["strategy"],
        row["workers"],
        row["theta"] or DASH,
        _quantity(row),
        published + runs,
        measured if row["measured_reached"] else "not reached",
        f"{row['measured_reached']}/{row['cells']}",
        str(row["seeds"]),
        _change(row),
        row["differs"] or DASH,
    )


def _quantity(row: dict[str, Any]) -> str:
    if row["epoch"] is not None and math.isfinite(row["epoch"]):
        return f"{row['quantity']} at epoch {row['epoch']:.0f}"
    return f"{row['quantity']} to {target_name(row['target'])}"


def _ranged(quantity: str, middle: float, low: float, high: float) -> str:
    """One value has no range, nor have equal ones."""
    text = _written(quantity, middle)
    spread = math.isfinite(low) and low != high
    return f"{text} [{_written(quantity, low)}, {_written(quantity, high)}]" if spread else text


def _written(quantity: str, value: float) -> str:
    if quantity == "accuracy":
        return percent(value, 2)
    return byte_size(value) if quantity == "bytes" else count(value)


def _change(row: dict[str, Any]) -> str:
    if math.isfinite(row["points"]):
        return f"{row['points']:+.2f} points"
    return f"{ratio_number(row['ratio'])}×" if math.isfinite(row["ratio"]) else DASH
