"""Time to the target on networks: the table, and what is fastest where."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fdabench.report.data import WORKLOAD, ReportData
from fdabench.report.stats import geometric_mean
from fdabench.report.tables import Table
from fdabench.report.text import DASH, count, ratio_number, significant, target_name
from fdabench.results.networks import NETWORKS, Demand, Network

_UNITS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))


def networks_of(data: ReportData, suite: str) -> Mapping[str, Network]:
    """The named networks, and the suite's own."""
    own = data.locks[suite].get("network", [])
    return {
        **NETWORKS,
        **{
            each["name"]: Network(each["bandwidth_mbps"] * 1e6, each["latency_ms"] * 1e-3, each["shared"])
            for each in own
        },
    }


def times_frame(data: ReportData) -> pd.DataFrame:
    """One row for each workload, strategy that reached the target, and network: seconds, geometric mean over seeds."""
    rows: list[dict[str, Any]] = []
    groups = dict(zip(data.runs["label"], data.runs["group"], strict=True))
    for (suite, workload, label), mine in data.demands.groupby([*WORKLOAD, "label"], sort=False):
        for name, network in networks_of(data, str(suite)).items():
            pairs = zip(mine["demand"], mine["step_s"], strict=True)
            seconds = [demand.seconds_on(network, step_s) for demand, step_s in pairs]
            rows.append(
                {
                    "suite": suite,
                    "workload": workload,
                    "target": mine["target"].iloc[0],
                    "strategy": label,
                    "family": mine["family"].iloc[0],
                    "group": groups.get(label, ""),
                    "reference": bool(mine["reference"].any()),
                    "reached": len(mine),
                    "network": name,
                    "step_s": float(mine["step_s"].iloc[0]),
                    "seconds": geometric_mean(pd.Series(seconds)),
                }
            )
    return pd.DataFrame(rows)


def times_tables(data: ReportData) -> list[Table]:
    """Nothing where no target was reached."""
    frame = times_frame(data)
    return [] if frame.empty else [_fastest_table(data, frame), _times_table(data, frame)]


def _times_table(data: ReportData, frame: pd.DataFrame) -> Table:
    names = list(dict.fromkeys(frame["network"]))
    rows = []
    for (suite, workload, label), mine in frame.groupby([*WORKLOAD, "strategy"], sort=False):
        seconds = {str(name): float(value) for name, value in zip(mine["network"], mine["seconds"], strict=True)}
        shown = [duration(seconds[name]) if name in seconds else DASH for name in names]
        first = mine.iloc[0]
        rows.append((data.where(suite, workload), str(label), target_name(first["target"]), *shown))
    columns = ("workload", "strategy", "target", *names)
    shown_frame = frame.drop(columns="group")  # it is for `fastest` alone
    title = "Time to the target on networks"
    return Table("times", title, _note(data, frame), shown_frame, columns, tuple(rows), len(names))


def _fastest_table(data: ReportData, times: pd.DataFrame) -> Table:
    found = fastest(times)
    rows = tuple(
        (
            data.where(row["suite"], row["workload"]),
            row["network"],
            row["fastest"],
            row["fastest_fda"] or DASH,
            duration(row["seconds"]),
            f"{ratio_number(row['reference_seconds'] / row['seconds'])}×" if row["reference_seconds"] > 0 else DASH,
        )
        for row in found.to_dict("records")
    )
    columns = ("workload", "network", "fastest", "fastest of FDA", "time", "times faster than the reference")
    return Table("fastest", "What is fastest on which network", _note(data, times), found, columns, rows, 2)


def fastest(times: pd.DataFrame) -> pd.DataFrame:
    """One row for each workload and network; of FDA's variants the fastest one has the theta for that network."""
    rows = []
    for (suite, workload, network), mine in times.groupby([*WORKLOAD, "network"], sort=False):
        ordered = mine.sort_values("seconds", kind="stable")
        reference = ordered.loc[ordered["reference"], "seconds"]
        fda = ordered.loc[ordered["group"] == "FDA", "strategy"]
        rows.append(
            {
                "suite": suite,
                "workload": workload,
                "network": network,
                "fastest": ordered["strategy"].iloc[0],
                "seconds": float(ordered["seconds"].iloc[0]),
                "reference_seconds": float(reference.iloc[0]) if len(reference) else np.nan,
                "fastest_fda": fda.iloc[0] if len(fda) else "",
            }
        )
    return pd.DataFrame(rows)


def _note(data: ReportData, times: pd.DataFrame) -> str:
    steps = times.groupby(WORKLOAD, sort=False)["step_s"].first()
    measured = ", ".join(dict.fromkeys(duration(float(seconds)) for seconds in steps))
    return (
        f"Modelled, not timed: local steps x the seconds of one ({measured}: this simulation's time for each worker's "
        "step on one core, evaluations included) + the time of the collectives, from the ledger: each waits for two "
        "latencies (in a ring 2·(K−1)), and its bytes pass through one channel or each worker's own link; nothing "
        f"overlaps. {data.conventions} accounting. Geometric means over the seeds that reached the target."
    )


def duration(seconds: float) -> str:
    """Three digits in the unit that suits: 4.13 s, 27.5 min."""
    if not np.isfinite(seconds):
        return DASH
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), _UNITS[-1])
    value = seconds / size
    return f"{count(value) if value >= 1000 else significant(value)} {unit}"


def demand_of(frame: pd.DataFrame) -> tuple[Demand, float]:
    """The middle cell of several seeds, by bytes, and its step's seconds."""
    middle = frame.iloc[np.argsort([demand.wire_bytes for demand in frame["demand"]])[len(frame) // 2]]
    return middle["demand"], float(middle["step_s"])
