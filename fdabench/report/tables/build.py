"""Builds the main tables of a report: `headline`, `targets`, `cells` and `settings`.

It also has the class and the columns that all modules of this package use. The csv file of a table has the exact
numbers; the page and the other files have rounded ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from fdabench.analysis.data import ReportData
from fdabench.analysis.headline import headline_frame
from fdabench.analysis.stats import Ratio
from fdabench.formatting import DASH, format_bytes, format_count
from fdabench.metrics import Metric
from fdabench.report.directions import has_unequal_directions
from fdabench.report.methods import method_rows
from fdabench.report.ratios import format_times_sign
from fdabench.tables import Column, Record, Table, column, number

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
    "bytes_up",
    "bytes_down",
    "final_value",
]

WORST_DECILE = "final_worst_decile"
"""The column of runs that is there only with `eval.worst_decile`."""

_NOT_IN_CSV = [
    "finished",
    "workload_head",
    "workload_rest",
    "except_workers_id",
    "except_partition_id",
    "series",
    "final_value",
    "best_value",
    "final_loss",
    "best_loss",
]
"""Columns that only figures use, and those that `_values` puts in under the name of the metric."""


@dataclass(frozen=True, kw_only=True)
class ReportTable(Table):
    """A table of the report.

    Args:
        name: of its files, without suffix.
        title: its heading on the page.
        note: the paragraph below it.
        frame: the contents of its csv file: exact numbers, and more columns than the page shows. `records`, which are
            shown, may be a summary of it, such as one row for each strategy instead of one for each seed.
    """

    name: str
    title: str
    note: str
    frame: pd.DataFrame


def records_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame, each as a dictionary by column."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def table_of(name: str, title: str, note: str, frame: pd.DataFrame, columns: Sequence[Column]) -> ReportTable:
    """Return a table that has one row for each row of the frame; arguments as in `ReportTable`."""
    return ReportTable(records=records_of(frame), columns=columns, name=name, title=title, note=note, frame=frame)


def workload_column(data: ReportData) -> Column:
    """Return the column of the workload. The name of the suite is in front if the report has several suites."""
    return Column("workload", "workload", lambda row: data.workload_title(row["suite"], row["workload"]))


def bytes_columns(data: ReportData, frame: pd.DataFrame, key: str) -> list[Column]:
    """Return the column of bytes, whose title names the convention that prices them and ranks strategies.

    If the bytes that workers sent and received differ by 1 % of the total in a row, each has a column of its own.

    Args:
        data: all data of the report.
        frame: the rows of the table, with `key`, `bytes_up` and `bytes_down`; NaN where they are not known.
        key: the column of `frame` that has the total.
    """
    if not has_unequal_directions(frame, key):
        return [number(key, f"bytes ({data.conventions})", format_bytes)]
    return [
        number(key, f"ranking bytes ({data.conventions})", format_bytes),
        number("bytes_up", "sent", format_bytes),
        number("bytes_down", "received", format_bytes),
    ]


def target_column(metric: Metric) -> Column:
    """Return the column of the target; `none` if the suite has no target."""
    return column("target", write=lambda target: metric.format_target(target) if math.isfinite(target) else "none")


def build_tables(data: ReportData) -> list[ReportTable]:
    """Return the tables of this module. `targets` is left out if there is only one target."""
    tables = [headline_table(data), cells_table(data), settings_table(data)]
    if data.outcomes["target"].nunique() > 1:
        tables.insert(1, targets_table(data))
    return tables


def headline_table(data: ReportData) -> ReportTable:
    """Return the costs of each strategy at the target of each workload."""
    return _cost_table(data, "headline", "Cost to the target of each workload", data.at_workload_target)


def targets_table(data: ReportData) -> ReportTable:
    """Return the costs of each strategy at each target."""
    return _cost_table(data, "targets", "Cost to every target", data.outcomes)


def _cost_note(data: ReportData, frame: pd.DataFrame) -> str:
    num_missed = int(frame["missed"].sum())
    left_out = f" {num_missed} misses are left out of the means (the lower n in n/N)." if num_missed else ""
    return (
        f"Geometric means over the seeds that reached the target, all workers, {data.conventions} accounting; "
        f"rounds are syncs + 1.{_directions_note(frame)} "
        f"{data.metric.title.capitalize()}: last evaluation, mean ± sd over seeds. Fewer bytes: "
        "the reference's bytes "
        "divided by the strategy's, geometric mean of seed pairs with a 95 % interval over seeds and evaluations; "
        f"at least, at most: misses leave one limit only (97.5 %).{left_out}"
    )


def _directions_note(frame: pd.DataFrame) -> str:
    """The sentence about the bytes that rank strategies, if the table shows the bytes of each direction."""
    if not has_unequal_directions(frame, "bytes"):
        return ""
    return (
        " Strategies rank by the bytes of both directions as the convention counts them; with two seeds or more, the "
        "means of sent and received bytes need not add up to the mean of both."
    )


def _cost_table(data: ReportData, name: str, title: str, outcomes: pd.DataFrame) -> ReportTable:
    frame, metric = headline_frame(data, outcomes), data.metric
    final = f"final_{metric.name}"

    def final_with_sd(row: Record) -> str:
        return metric.format_spread(row[final], row[f"{final}_sd"])

    columns = (
        workload_column(data),
        column("strategy"),
        target_column(data.metric),
        Column("reached", "reached", _format_reached, "right"),
        *bytes_columns(data, frame, "bytes"),
        number("steps", "steps", format_count),
        number("rounds", "rounds", format_count),
        Column(final, f"final {metric.title}", final_with_sd, "right"),
        Column("bytes_ratio", "fewer bytes than reference", _ratio, "right"),
    )
    return table_of(name, title, _cost_note(data, frame), frame, columns)


def _format_reached(row: Record) -> str:
    """How many of the cells with a result reached the target, and how many cells failed or were not run."""
    others = [f"{row[key]} {words}" for key, words in (("failed", "failed"), ("not_run", "not run")) if row[key]]
    extra = f" (+ {', '.join(others)})" if others else ""
    return (f"{row['reached']}/{row['cells']}" if math.isfinite(row["target"]) else f"{DASH}/{row['cells']}") + extra


def _ratio(row: Record) -> str:
    return "reference" if row["reference"] else format_times_sign(ratio_in(row, "bytes_ratio"))


def ratio_in(row: Record, name: str) -> Ratio:
    """Return the ratio in the columns of a row that begin with `name`, with its interval or limit."""
    low, high, pairs, bound = (row[f"{name}_{part}"] for part in ("low", "high", "pairs", "bound"))
    return Ratio(row[name], low, high, pairs, bound)


def cells_table(data: ReportData) -> ReportTable:
    """Return one row for each cell, with or without a result. The csv file has all axes and the cost of each target."""
    metric = data.metric
    frame = data.runs.drop(columns=_NOT_IN_CSV).assign(**_values(data))
    for target, at_target in data.outcomes.groupby("target"):
        costs = at_target.set_index("cell_id")[["reached", "step", "syncs", "bytes_total"]]
        frame = frame.join(costs.add_suffix(f"_at_{target:g}"), on="cell_id")
    hits = {str(cell): rows.loc[rows["reached"], "target"].tolist() for cell, rows in data.outcomes.groupby("cell_id")}
    by_owner = [WORST_DECILE] if WORST_DECILE in data.runs else []
    runs = records_of(data.runs[[*_CELL_COLUMNS, *by_owner]])
    # the page sorts the column by `reached`, the hardest target that was reached
    records = [
        run | {"targets": targets, "reached": metric.best(targets) if targets else None}
        for run in runs
        for targets in [metric.easiest_first(hits.get(run["cell_id"], []))]
    ]
    columns = (
        column("cell_id", "cell", lambda cell_id: cell_id.rsplit(":", 1)[-1]),
        column("workload"),
        column("label"),
        column("seed"),
        column("state"),
        number("steps", "steps", format_count),
        number("syncs", "syncs", format_count),
        *bytes_columns(data, data.finished, "bytes_total"),
        number("final_value", f"final {metric.title}", lambda value: metric.format(value, 2)),
        *(number(key, "worst tenth of owners", partial(_source_value, metric)) for key in by_owner),
        Column("reached", "reached", lambda row: ", ".join(map(metric.format_target, row["targets"])) or DASH, "right"),
    )
    note = f"{data.conventions} accounting."
    return ReportTable(records=records, columns=columns, name="cells", title="All cells", note=note, frame=frame)


def _source_value(metric: Metric, value: float | None) -> str:
    """Convert a value of the source of the metric, such as a loss, to the unit of the metric and format it.

    Cells without a result have no value and get a dash.
    """
    return DASH if value is None else metric.format(metric.convert(value), 2)


def _values(data: ReportData) -> dict[str, "pd.Series[float]"]:
    """The columns of the csv file with the metric at the last and at the best evaluation, if it is not the accuracy."""
    if data.metric.name == "accuracy":
        return {}
    return {f"{when}_{data.metric.name}": data.runs[f"{when}_value"] for when in ("final", "best")}


def settings_table(data: ReportData) -> ReportTable:
    """Return the settings and methods of the experiments, as `report.methods` describes them."""
    columns = [column(key) for key in ("topic", "item", "value")]
    frame = pd.DataFrame([tuple(row) for row in method_rows(data)], columns=[item.key for item in columns])
    return table_of("settings", "Settings and methods", "", frame, columns)
