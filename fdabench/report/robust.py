"""Two tables that misses and outliers move little: over all workloads, and within each up to a common budget."""

import math
from typing import Any

import pandas as pd

from fdabench.report.data import WORKLOAD, ReportData
from fdabench.report.profiles import area, ratios_to_best, widest
from fdabench.report.resampling import RESAMPLES, SEED, interquartile_mean, stratified_interval
from fdabench.report.survival import Course, common_limit, restricted_mean
from fdabench.report.tables import Table
from fdabench.report.text import DASH, byte_size, count, percent, ratio_number, target_name


def robust_tables(data: ReportData) -> list[Table]:
    """Nothing where no target was reached."""
    if not data.shown["reached"].astype(bool).any():
        return []
    middles, restricted = middles_frame(data), restricted_frame(data)
    return [*([] if middles.empty else [_middles_table(data, middles)]), _restricted_table(data, restricted)]


def middles_frame(data: ReportData) -> pd.DataFrame:
    """One row for each strategy, over all workloads and seeds: interquartile means and the area of its profile."""
    ratios = ratios_to_best(data.shown, "cost_bytes")
    doublings = widest(ratios)
    sound = data.finished[data.finished["state"] != "diverged"]
    rows = []
    for label, mine in ratios.groupby("label", sort=False):
        accuracy = sound[sound["label"] == label]
        row = {"strategy": label, "cells": len(mine), "reached": int(mine["reached"].sum())}
        row |= _middle("bytes_times_best", mine, "ratio") | _middle("final_accuracy", accuracy, "final_accuracy")
        rows.append(row | {"profile_area": area(mine, doublings), "profile_doublings": doublings})
    return pd.DataFrame(rows)


def _middle(name: str, mine: pd.DataFrame, column: str) -> dict[str, Any]:
    low, high = stratified_interval([seeds.to_numpy(float) for _, seeds in mine.groupby(WORKLOAD)[column]])
    return {f"{name}_iqm": interquartile_mean(mine[column]), f"{name}_low": low, f"{name}_high": high}


def course_of(mine: pd.DataFrame, cost: str, end: float) -> Course:
    """What a strategy's cells spent; one that diverged never gets there, so it counts as missed up to `end`."""
    return mine[cost].astype(float).fillna(end).to_numpy(), mine["reached"].to_numpy(bool)


def restricted_frame(data: ReportData) -> pd.DataFrame:
    """One row for each workload and strategy: mean bytes and steps to the target, each up to the common limit."""
    rows = []
    for (suite, workload), group in data.shown.groupby(WORKLOAD, sort=False):
        by_label = dict(list(group.groupby("label", sort=False)))
        means = {cost: _restricted(by_label, cost) for cost in ("cost_bytes", "cost_steps")}
        for label, mine in by_label.items():
            row: dict[str, Any] = {"suite": suite, "workload": workload, "strategy": label}
            row |= {"target": mine["target"].iloc[0], "cells": len(mine), "reached": int(mine["reached"].sum())}
            for cost, unit in (("cost_bytes", "bytes"), ("cost_steps", "steps")):
                row |= {f"{unit}_limit": means[cost][0], f"{unit}_mean": means[cost][1][label]}
            rows.append(row)
    return pd.DataFrame(rows)


def _restricted(by_label: dict[Any, pd.DataFrame], cost: str) -> tuple[float, dict[Any, float]]:
    known = [float(mine[cost].astype(float).max()) for mine in by_label.values() if mine[cost].notna().any()]
    end = max(known, default=math.nan)
    courses = {label: course_of(mine, cost, end) for label, mine in by_label.items()}
    limit = common_limit(list(courses.values()))
    return limit, {label: restricted_mean(*course, limit) for label, course in courses.items()}


def _middles_table(data: ReportData, frame: pd.DataFrame) -> Table:
    columns = ("strategy", "reached", "times the best's bytes", "final accuracy", "area under the profile")
    rows = tuple(
        (
            row["strategy"],
            f"{row['reached']}/{row['cells']}",
            _with_interval(row, "bytes_times_best", lambda value: f"{ratio_number(value)}×"),
            _with_interval(row, "final_accuracy", lambda value: percent(value, 2)),
            f"{row['profile_area']:.2f}",
        )
        for row in frame.to_dict("records")
    )
    return Table("middles", "Over all workloads: the middle half", _middles_note(data, frame), frame, columns, rows, 3)


def _with_interval(row: dict[Any, Any], name: str, write: Any) -> str:
    middle, low, high = (row[f"{name}_{part}"] for part in ("iqm", "low", "high"))
    if middle == math.inf:
        return "missed too often"
    interval = "" if math.isnan(low) else f" [{write(low)}, {write(high) if high < math.inf else '∞'}]"
    return f"{write(middle)}{interval}" if math.isfinite(middle) else DASH


def _middles_note(data: ReportData, frame: pd.DataFrame) -> str:
    return (
        f"Interquartile means (the middle half) over workloads and seeds, {data.conventions} accounting: bytes to each "
        "workload's target as a multiple of the fewest that any strategy needed there with the same seed, a miss being "
        "more than any number; final accuracy of what did not diverge. In brackets: 95 % bootstrap interval "
        f"({count(RESAMPLES)} draws of seeds within each workload, generator seed {SEED}), where each workload has "
        "three seeds or more. Area under the performance profile: mean height up to "
        f"{ratio_number(2 ** float(frame['profile_doublings'].iloc[0]))} times the best, on a log scale; 1 is always "
        "the cheapest. Workloads and seeds that nobody reached are left out."
    )


def _restricted_table(data: ReportData, frame: pd.DataFrame) -> Table:
    columns = ("workload", "strategy", "target", "reached", "bytes", "of at most", "steps", "of at most steps")
    rows = tuple(
        (
            data.where(row["suite"], row["workload"]),
            row["strategy"],
            target_name(row["target"]),
            f"{row['reached']}/{row['cells']}",
            byte_size(row["bytes_mean"]),
            byte_size(row["bytes_limit"]),
            count(row["steps_mean"]),
            count(row["steps_limit"]),
        )
        for row in frame.to_dict("records")
    )
    note = (
        "Restricted means: the area under the share of seeds that have not reached the target yet (Kaplan-Meier), up "
        f"to a limit that is common to the workload's strategies; {data.conventions} accounting. Up to the limit each "
        "strategy's share is known: a seed that missed was watched as far as it spent, one that diverged never gets "
        "there. Who never reached it has none. Else no miss is left out, so means of strategies that missed "
        "differently often can be compared."
    )
    return Table("restricted", "Mean cost to the target up to a common budget", note, frame, columns, rows, 5)
