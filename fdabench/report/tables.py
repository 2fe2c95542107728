"""The tables of a report: full numbers for programs, rounded ones for people."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fdabench.report.data import ReportData
from fdabench.report.headline import headline_frame
from fdabench.report.methods import settings
from fdabench.report.ratios import times_sign
from fdabench.report.stats import Ratio
from fdabench.report.text import DASH, byte_size, count, percent, target_name

_CELL_COLUMNS = [
    "cell_id",
    "suite",
    "workload",
    "label",
    "seed",
    "state",
    "steps",
    "syncs",
    "bytes_total",
    "final_accuracy",
]


@dataclass(frozen=True)
class Table:
    """`frame` has every number in full; `rows` is what a person reads, under `columns`.

    `values` has what the rows sort by, where that is a number: as many rows and columns, or nothing.
    """

    name: str
    title: str
    note: str
    frame: pd.DataFrame
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: int
    values: tuple[tuple[float | None, ...], ...] = ()


def build_tables(data: ReportData) -> list[Table]:
    tables = [headline_table(data), cells_table(data), settings_table(data)]
    if data.outcomes["target"].nunique() > 1:
        tables.insert(1, targets_table(data))
    return tables


def headline_table(data: ReportData) -> Table:
    return _cost_table(data, "headline", "Cost to the target of each workload", data.shown)


def targets_table(data: ReportData) -> Table:
    return _cost_table(data, "targets", "Cost to every target", data.outcomes)


def _cost_note(data: ReportData, frame: pd.DataFrame) -> str:
    missed = int(frame["missed"].sum())
    left_out = f" {missed} misses are left out of the means (the lower n in n/N)." if missed else ""
    return (
        f"Geometric means over the seeds that reached the target, all workers, {data.conventions} accounting; "
        "rounds are syncs + 1. Accuracy: last evaluation, mean ± sd over seeds. Fewer bytes: the reference's bytes "
        "divided by the strategy's, geometric mean of seed pairs with a 95 % interval over seeds and evaluations; "
        f"at least, at most: the one limit (97.5 %) that misses leave.{left_out}"
    )


def _cost_table(data: ReportData, name: str, title: str, outcomes: pd.DataFrame) -> Table:
    frame = headline_frame(data, outcomes)
    columns = (
        "workload",
        "strategy",
        "target",
        "reached",
        "bytes",
        "steps",
        "rounds",
        "final accuracy",
        "fewer bytes than reference",
    )
    rows = tuple(_cost_row(row, data) for row in _rows(frame))
    return Table(name, title, _cost_note(data, frame), frame, columns, rows, 6)


def _cost_row(row: dict[str, Any], data: ReportData) -> tuple[str, ...]:
    return (
        data.where(row["suite"], row["workload"]),
        row["strategy"],
        target_name(row["target"]) if math.isfinite(row["target"]) else "none",
        _reached(row),
        byte_size(row["bytes"]),
        count(row["steps"]),
        count(row["rounds"]),
        _accuracy(row["final_accuracy"], row["final_accuracy_sd"]),
        "reference" if row["reference"] else _ratio(row),
    )


def _reached(row: dict[str, Any]) -> str:
    """Of the cells that have a result; what else happened stands beside it."""
    others = [f"{row[what]} {words}" for what, words in (("failed", "failed"), ("not_run", "not run")) if row[what]]
    extra = f" (+ {', '.join(others)})" if others else ""
    return (f"{row['reached']}/{row['cells']}" if math.isfinite(row["target"]) else f"{DASH}/{row['cells']}") + extra


def _accuracy(mean: float, sd: float) -> str:
    spread = f" ± {100 * sd:.2f}" if math.isfinite(sd) else ""
    return f"{100 * mean:.2f}{spread} %" if math.isfinite(mean) else DASH


def _ratio(row: dict[str, Any]) -> str:
    low, high, pairs, bound = (row[f"bytes_ratio_{part}"] for part in ("low", "high", "pairs", "bound"))
    return times_sign(Ratio(row["bytes_ratio"], low, high, pairs, bound))


def cells_table(data: ReportData) -> Table:
    """All cells, those without a result too; the csv has every axis and each target's cost."""
    frame = data.runs.drop(columns=["finished", "group"])
    for target, at_target in data.outcomes.groupby("target"):
        costs = at_target.set_index("cell_id")[["reached", "step", "syncs", "bytes_total"]]
        frame = frame.join(costs.add_suffix(f"_at_{target:g}"), on="cell_id")
    columns = ("cell", *_CELL_COLUMNS[2:5], "state", "steps", "syncs", "bytes", "final accuracy", "reached")
    hits = {str(cell): mine.loc[mine["reached"], "target"].tolist() for cell, mine in data.outcomes.groupby("cell_id")}
    runs = [(row, hits.get(row["cell_id"], [])) for row in _rows(data.runs[_CELL_COLUMNS])]
    rows = tuple(_cell_row(row, mine) for row, mine in runs)
    values = tuple(_cell_values(row, mine) for row, mine in runs)
    return Table("cells", "All cells", f"{data.conventions} accounting.", frame, columns, rows, 5, values)


def _cell_row(row: dict[str, Any], hits: Sequence[float]) -> tuple[str, ...]:
    return (
        row["cell_id"].rsplit(":", 1)[-1],
        row["workload"],
        row["label"],
        str(row["seed"]),
        row["state"],
        count(row["steps"]),
        count(row["syncs"]),
        byte_size(row["bytes_total"]),
        percent(row["final_accuracy"], 2),
        ", ".join(target_name(target) for target in sorted(hits)) or DASH,
    )


def _cell_values(row: dict[str, Any], hits: Sequence[float]) -> tuple[float | None, ...]:
    """Numbers where the cell's row has them; a cell without a result has none."""
    numbers = [row[column] for column in ("steps", "syncs", "bytes_total", "final_accuracy")]
    known = [value if math.isfinite(value) else None for value in numbers]
    return (None, None, None, row["seed"], None, *known, max(hits, default=None))


def settings_table(data: ReportData) -> Table:
    rows = tuple(tuple(row) for row in settings(data))
    columns = ("topic", "item", "value")
    return Table("settings", "Settings and methods", "", pd.DataFrame(rows, columns=list(columns)), columns, rows, 0)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
