"""Builds the table `fleets`: the modeled time to the target on each fleet, and the share of waiting in it."""

from typing import Any

import numpy as np
import pandas as pd

from fdabench.accounting.costs import EvalPoint
from fdabench.accounting.fleets import FleetTime, fleet_time
from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.stats import geometric_mean
from fdabench.formatting import format_duration, format_percent, format_ratio
from fdabench.report.tables.build import ReportTable, table_of, target_column, workload_column
from fdabench.tables import Column, column, number


def fleets_frame(data: ReportData) -> pd.DataFrame:
    """Return the time of each strategy to the target on each fleet: geometric means over seeds that reached it.

    The shares of computation, waiting and communication are means over the seeds.
    """
    ledgers = {str(cell): of_cell for cell, of_cell in data.ledger.groupby("cell_id")}
    rows: list[dict[str, object]] = []
    for (suite, workload, label), of_cell in data.volumes.groupby([*WORKLOAD, "label"], sort=False):
        for name, fleet in data.fleets[str(suite)].items():
            convention = data.locks[str(suite)].convention
            cells = (of_cell[key] for key in ("cell_id", "step", "after_sync", "workers", "step_s", "seed"))
            times = [
                fleet_time(
                    ledgers[str(cell)],
                    EvalPoint(int(step), bool(after)),
                    int(workers),
                    convention,
                    fleet,
                    step_s,
                    int(seed),
                )
                for cell, step, after, workers, step_s, seed in zip(*cells, strict=True)
            ]
            rows.append(
                {
                    "suite": suite,
                    "workload": workload,
                    "target": of_cell["target"].iloc[0],
                    "strategy": label,
                    "fleet": name,
                    "reached": len(of_cell),
                    "step_s": float(of_cell["step_s"].iloc[0]),
                    "reference": bool(of_cell["reference"].any()),
                    **_summary(times),
                }
            )
    return pd.DataFrame(rows)


def _summary(times: list[FleetTime]) -> dict[str, float]:
    return {
        "seconds": geometric_mean(np.array([time.total for time in times])),
        "compute_share": float(np.mean([time.compute / time.total for time in times])),
        "waiting_share": float(np.mean([max(time.waiting, 0.0) / time.total for time in times])),
        "communication_share": float(np.mean([time.communication / time.total for time in times])),
    }


def fleet_tables(data: ReportData) -> list[ReportTable]:
    """Return the table, or an empty list if no fleet was named or no target was reached."""
    if not any(data.fleets.values()) or data.volumes.empty:
        return []
    frame = fleets_frame(data)
    fastest = frame.groupby([*WORKLOAD, "fleet"], sort=False)["seconds"].transform("min")
    frame = frame.assign(times_fastest=frame["seconds"] / fastest)
    columns = (
        workload_column(data),
        column("fleet"),
        column("strategy"),
        target_column(data.metric),
        number("seconds", "time", format_duration),
        Column("times_fastest", "of the fastest", lambda row: f"{format_ratio(row['times_fastest'])}×", "right"),
        number("compute_share", "computing", format_percent),
        number("waiting_share", "waiting", format_percent),
        number("communication_share", "communicating", format_percent),
    )
    ordered = frame.sort_values([*WORKLOAD, "fleet", "seconds"], kind="stable", key=_in_order_of_the_report)
    return [table_of("fleets", "Time to the target on fleets", _note(data, frame), ordered, columns)]


def _in_order_of_the_report(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Names sort as they first occur, numbers by value."""
    if pd.api.types.is_numeric_dtype(column):
        return column
    return column.map({name: at for at, name in enumerate(dict.fromkeys(column))})


def _note(data: ReportData, frame: pd.DataFrame) -> str:
    measured = ", ".join(dict.fromkeys(format_duration(float(seconds)) for seconds in frame["step_s"].unique()))
    return (
        f"Modeled, not timed, from the ledger and random step times whose mean is {measured} (this simulation's time "
        "of a local step on one core). Every collective is a barrier: it begins when the slowest worker arrives. "
        "Waiting is the mean share of the time in which a worker neither computes nor communicates. A collective with "
        "slack overlaps computation, so the shares may exceed 100 %. "
        f"{data.conventions} accounting. Geometric means over the seeds that reached the target."
    )
