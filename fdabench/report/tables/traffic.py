"""Builds the table `traffic`: the bytes that processes received, and the bytes that the ledger predicts."""

import pandas as pd

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.formatting import DASH, format_bytes, format_count, plural
from fdabench.report.tables.build import ReportTable, workload_column
from fdabench.tables import Column, Record, column, number

_SUMS = ["count", "predicted_bytes", "received_bytes", "seconds"]
_NOTE = (
    "Averages between processes, summed over all processes and seeds, without evaluations. Predicted: by the "
    "collective's algorithm, from the payload in the ledger. On the wire: by the counters of the network interfaces, "
    "where they were read. The excess of the ratio over 1 is framing (headers, acknowledgements), which is most of a "
    "small message. Seconds: of the slowest process."
)
_NOT_MEASURED = " Not measured (–) in {cells}: an interface counted fewer bytes than it carries when idle."


def traffic_frame(data: ReportData) -> pd.DataFrame:
    """Return counted and predicted bytes for each cell and kind of message, without evaluations."""
    records = data.records
    counted = data.wire[data.wire["kind"] != "evaluation"]
    keys = [*WORKLOAD, "label", "seed", "cell_id", "kind"]
    grouped = counted.groupby(keys, sort=False, as_index=False)
    # NaN if the bytes of one average are not known, because the sum of the others would be too low
    totals = grouped["received_bytes"].agg(lambda counts: counts.sum(skipna=False))["received_bytes"]
    frame = grouped[_SUMS].sum(min_count=1).assign(received_bytes=totals)
    return frame.assign(
        processes=[records[cell].processes for cell in frame["cell_id"]],
        mean=[records[cell].mean for cell in frame["cell_id"]],
        ratio=frame["received_bytes"] / frame["predicted_bytes"],
    )


def traffic_tables(data: ReportData) -> list[ReportTable]:
    """Return the table, or an empty list if each cell ran in one process."""
    if data.wire.empty:
        return []
    frame = traffic_frame(data)
    groups = frame.groupby([*WORKLOAD, "label", "processes", "mean", "kind"], sort=False)
    records = [
        {"suite": suite, "workload": workload, "label": label, "processes": processes, "mean": mean, "kind": kind}
        | {str(name): total for name, total in of_label[_SUMS].sum(skipna=False).items()}
        for (suite, workload, label, processes, mean, kind), of_label in groups
    ]
    columns = (
        workload_column(data),
        column("label", "strategy"),
        Column("processes", "processes", lambda row: f"{row['processes']}, {row['mean']}"),
        column("kind", "message"),
        number("count", "averages", format_count),
        number("predicted_bytes", "predicted", format_bytes),
        number("received_bytes", "on the wire", lambda size: DASH if pd.isna(size) else format_bytes(size)),
        Column("ratio", "ratio", _ratio, "right"),
        number("seconds", "seconds", lambda seconds: f"{seconds:.2f}"),
    )
    note = _NOTE + _not_measured(data.wire)
    return [ReportTable(records=records, columns=columns, name="traffic", title="On the wire", note=note, frame=frame)]


def _ratio(row: Record) -> str:
    received = row["received_bytes"]
    return DASH if pd.isna(received) else f"{received / row['predicted_bytes']:.4f}"


def _not_measured(wire: pd.DataFrame) -> str:
    """A note on the cells for which the bytes of some averages could not be measured; empty if there are none."""
    counted = wire[wire["kind"] != "evaluation"]
    is_measured = counted["received_bytes"].notna().groupby(counted["cell_id"])
    partly = int((is_measured.any() & ~is_measured.all()).sum())
    return _NOT_MEASURED.format(cells=plural(partly, "cell")) if partly else ""
