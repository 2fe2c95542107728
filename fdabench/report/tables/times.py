"""Builds the tables `times` and `fastest`: the modeled time to the target on each network, and the fastest strategy."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from fdabench.accounting.network_time import NETWORKS, Network
from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.stats import geometric_mean
from fdabench.formatting import DASH, format_duration, format_ratio
from fdabench.report.tables.build import ReportTable, table_of, target_column, workload_column
from fdabench.tables import Column, Record, column, number


def networks_of(data: ReportData, suite: str) -> Mapping[str, Network]:
    """Return the networks of the table by name: the built-in ones and those that the suite defines."""
    own = {
        network.name: Network(network.bandwidth_mbps * 1e6, network.latency_ms * 1e-3, network.shared)
        for network in data.locks[suite].network
    }
    return {**NETWORKS, **own}


def times_frame(data: ReportData) -> pd.DataFrame:
    """Return the seconds of each strategy to the target on each network: geometric means over seeds that reached it."""
    rows: list[dict[str, object]] = []
    groups = dict(zip(data.runs["label"], data.runs["group"], strict=True))
    for (suite, workload, label), of_label in data.volumes.groupby([*WORKLOAD, "label"], sort=False):
        for name, network in networks_of(data, str(suite)).items():
            pairs = zip(of_label["volume"], of_label["step_s"], strict=True)
            seconds = [volume.seconds_on(network, step_s) for volume, step_s in pairs]
            rows.append(
                {
                    "suite": suite,
                    "workload": workload,
                    "target": of_label["target"].iloc[0],
                    "strategy": label,
                    "family": of_label["family"].iloc[0],
                    "group": groups.get(label, ""),
                    "reference": bool(of_label["reference"].any()),
                    "reached": len(of_label),
                    "network": name,
                    "step_s": float(of_label["step_s"].iloc[0]),
                    "seconds": geometric_mean(np.array(seconds)),
                }
            )
    return pd.DataFrame(rows)


def times_tables(data: ReportData) -> list[ReportTable]:
    """Return the tables, or an empty list if no target was reached."""
    frame = times_frame(data)
    return [] if frame.empty else [_fastest_table(data, frame), _times_table(data, frame)]


def _times_table(data: ReportData, frame: pd.DataFrame) -> ReportTable:
    """One row for each workload and strategy, one column for each network."""
    names = list(dict.fromkeys(frame["network"]))
    records = [
        {"suite": suite, "workload": workload, "strategy": label, "target": of_label["target"].iloc[0]}
        | {str(name): float(value) for name, value in zip(of_label["network"], of_label["seconds"], strict=True)}
        for (suite, workload, label), of_label in frame.groupby([*WORKLOAD, "strategy"], sort=False)
    ]
    columns = (workload_column(data), column("strategy"), target_column(data.metric), *map(_seconds_column, names))
    return ReportTable(
        records=records,
        columns=columns,
        name="times",
        title="Time to the target on networks",
        note=_note(data, frame),
        frame=frame.drop(columns="group"),  # only `fastest` uses `group`
    )


def _seconds_column(network: str) -> Column:
    """The column of one network; a dash in the rows of suites that do not define it."""
    return Column(network, network, lambda row: format_duration(row.get(network, math.nan)), "right")


def _fastest_table(data: ReportData, times: pd.DataFrame) -> ReportTable:
    columns = (
        workload_column(data),
        column("network"),
        column("fastest"),
        column("fastest_fda", "fastest of FDA", lambda label: label or DASH),
        number("seconds", "time", format_duration),
        Column("reference_seconds", "times faster than the reference", _times_faster, "right"),
    )
    return table_of("fastest", "Fastest strategy on each network", _note(data, times), fastest(times), columns)


def _times_faster(row: Record) -> str:
    reference = row["reference_seconds"]
    return f"{format_ratio(reference / row['seconds'])}×" if reference > 0 else DASH


def fastest(times: pd.DataFrame) -> pd.DataFrame:
    """Return the fastest strategy of each workload and network, and the fastest variant of FDA.

    The theta of that variant is the best one for the network.

    Args:
        times: as `times_frame` returns it.
    """
    rows = []
    for (suite, workload, network), of_network in times.groupby([*WORKLOAD, "network"], sort=False):
        ordered = of_network.sort_values("seconds", kind="stable")
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
    measured = ", ".join(dict.fromkeys(format_duration(float(seconds)) for seconds in steps))
    return (
        f"Modeled, not timed: local steps × the seconds of one ({measured}: this simulation's time for each worker's "
        "step on one core, evaluations included) + the time of the collectives, from the ledger. A collective takes "
        "two latencies (in a ring 2·(K−1)) and the time of its bytes on one shared channel or on each worker's own "
        "link; communication does not overlap computation. "
        f"{data.conventions} accounting. Geometric means over the seeds that reached the target."
    )
