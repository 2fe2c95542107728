"""Builds two tables whose numbers depend little on outliers and missed targets.

`middles` has interquartile means over all workloads. `restricted` has means within each workload, up to a step that all
of its cells have in common.
"""

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.profiles import log2_range, profile_area, ratios_to_best
from fdabench.analysis.resampling import LEAST_SEEDS_DRAWN, RESAMPLES, SEED, bootstrap_interval, interquartile_mean
from fdabench.analysis.survival import common_end
from fdabench.formatting import DASH, format_bytes, format_count, format_ratio
from fdabench.report.tables.build import ReportTable, table_of, target_column, workload_column
from fdabench.tables import Column, Record, column, number


def robust_tables(data: ReportData) -> list[ReportTable]:
    """Return the tables, or an empty list if no target was reached."""
    if not data.at_workload_target["reached"].astype(bool).any():
        return []
    middles, restricted = middles_frame(data), restricted_frame(data)
    return [*([] if middles.empty else [_middles_table(data, middles)]), _restricted_table(data, restricted)]


def middles_frame(data: ReportData) -> pd.DataFrame:
    """Return interquartile means and the area under the profile of each strategy, over all workloads and seeds."""
    ratios = ratios_to_best(data.at_workload_target, "cost_bytes")
    doublings = log2_range(ratios)
    not_diverged = data.finished[data.finished["state"] != "diverged"]
    rows = []
    for label, of_label in ratios.groupby("label", sort=False):
        runs = not_diverged[not_diverged["label"] == label]
        row = {"strategy": label, "cells": len(of_label), "reached": int(of_label["reached"].sum())}
        row |= _interquartile_mean("bytes_times_best", of_label, "ratio")
        row |= _interquartile_mean(f"final_{data.metric.name}", runs, "final_value")
        rows.append(row | {"profile_area": profile_area(of_label, doublings), "profile_doublings": doublings})
    return pd.DataFrame(rows)


def _interquartile_mean(name: str, rows: pd.DataFrame, column: str) -> dict[str, Any]:
    """The interquartile mean of a column and its bootstrap interval, as columns whose names begin with `name`."""
    workloads = rows.groupby(WORKLOAD).ngroup().to_numpy()
    low, high = bootstrap_interval(rows[column].to_numpy(float), workloads, rows["seed"].to_numpy())
    return {f"{name}_iqm": interquartile_mean(rows[column]), f"{name}_low": low, f"{name}_high": high}


def restricted_frame(data: ReportData) -> pd.DataFrame:
    """Return restricted means: mean steps and bytes to the target, one row for each workload and strategy.

    Both are counted up to the last step up to which every cell of the workload was observed. A cell that has not
    reached the target by then counts with that step, and with the bytes that it has spent up to it. No cell is left
    out, so the means of strategies that missed the target differently often can be compared.
    """
    rows = []
    for (suite, workload), group in data.at_workload_target.groupby(WORKLOAD, sort=False):
        end = common_end(group["cost_steps"], group["reached"])
        num_bytes = _bytes_up_to(end, group, data.evals)
        for label, of_label in group.groupby("label", sort=False):
            steps = of_label["cost_steps"].astype(float).where(of_label["reached"].astype(bool), end).clip(upper=end)
            row: dict[str, Any] = {"suite": suite, "workload": workload, "strategy": label}
            row |= {
                "target": of_label["target"].iloc[0],
                "cells": len(of_label),
                "reached": int(of_label["reached"].sum()),
            }
            rows.append(
                row
                | {
                    "steps_limit": end,
                    "steps_mean": float(steps.mean()),
                    "bytes_mean": float(num_bytes[of_label.index].mean()),
                }
            )
    return pd.DataFrame(rows)


def _bytes_up_to(end: float, group: pd.DataFrame, evals: pd.DataFrame) -> "pd.Series[float]":
    """The bytes of each cell up to the target or to step `end`, whichever comes first.

    For a cell that diverged before `end`, they are extrapolated in proportion to the steps.
    """
    hit = group["reached"].astype(bool) & (group["cost_steps"] <= end)
    ran, num_bytes = group["ran"].astype(float), group["spent"].astype(float)
    early = evals[evals["cell_id"].isin(group.loc[~hit & (ran > end), "cell_id"]) & (evals["step"] <= end)]
    by_then = group["cell_id"].map(early.groupby("cell_id")["bytes_total"].max()).astype(float)
    return group["cost_bytes"].astype(float).where(hit, by_then.where(ran > end, num_bytes * (end / ran)))


def _middles_table(data: ReportData, frame: pd.DataFrame) -> ReportTable:
    metric = data.metric
    columns = (
        column("strategy"),
        Column("reached", "reached", lambda row: f"{row['reached']}/{row['cells']}"),
        _interval_column("bytes_times_best", "times the best's bytes", lambda value: f"{format_ratio(value)}×"),
        _interval_column(f"final_{metric.name}", f"final {metric.title}", lambda value: metric.format(value, 2)),
        number("profile_area", "area under the profile", lambda area: f"{area:.2f}"),
    )
    return table_of("middles", "Interquartile means", _middles_note(data, frame), frame, columns)


def _interval_column(name: str, title: str, write: Callable[[float], str]) -> Column:
    """The column of an interquartile mean, with its interval in brackets."""
    return Column(f"{name}_iqm", title, lambda row: _with_interval(row, name, write), "right")


def _with_interval(row: Record, name: str, write: Callable[[float], str]) -> str:
    middle, low, high = (row[f"{name}_{part}"] for part in ("iqm", "low", "high"))
    if middle == math.inf:
        return "missed too often"
    interval = "" if math.isnan(low) else f" [{write(low)}, {write(high) if high < math.inf else '∞'}]"
    return f"{write(middle)}{interval}" if math.isfinite(middle) else DASH


def _middles_note(data: ReportData, frame: pd.DataFrame) -> str:
    return (
        f"Interquartile means (the middle half) over workloads and seeds, {data.conventions} accounting: bytes to each "
        "workload's target as a multiple of the fewest that any strategy needed on it with the same seed, where a miss "
        f"counts as infinite; final {data.metric.title} of cells that did not diverge. In brackets: 95 % bootstrap "
        f"interval ({format_count(RESAMPLES)} draws of seeds, within each workload and for all at once, generator seed "
        f"{SEED}), if each workload has {LEAST_SEEDS_DRAWN} seeds or more. Area under the performance profile: mean "
        "height up to "
        f"{format_ratio(2 ** float(frame['profile_doublings'].iloc[0]))} times the best, on a log scale; 1 is always "
        "the cheapest. Workloads and seeds in which no strategy reached the target are left out."
    )


def _restricted_table(data: ReportData, frame: pd.DataFrame) -> ReportTable:
    columns = (
        workload_column(data),
        column("strategy"),
        target_column(data.metric),
        Column("reached", "reached", lambda row: f"{row['reached']}/{row['cells']}", "right"),
        number("bytes_mean", "bytes", format_bytes),
        number("steps_mean", "steps", format_count),
        number("steps_limit", "step limit", format_count),
    )
    note = (
        "Restricted means: the steps and bytes of each seed up to the target, or up to the step limit if it comes "
        "first. The limit is the last step up to which all cells of the workload were observed. Arithmetic means over "
        f"seeds, {data.conventions} accounting. Bytes have no limit of their own, because it would come at another "
        "step for each strategy. No miss is left out, so means of strategies that missed the target differently often "
        "can be compared. A seed that diverged counts as a miss; its bytes are extrapolated at their rate before."
    )
    return table_of("restricted", "Restricted means (misses counted)", note, frame, columns)
