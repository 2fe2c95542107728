"""Builds the table `traffic`: the bytes that processes received, and the bytes that the ledger predicts."""

import pandas as pd

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.formatting import DASH, format_bytes, format_count, plural
from fdabench.report.tables.build import ReportTable, workload_column
from fdabench.tables import Column, Record, column, number

_SUMS = ["count", "predicted_bytes", "received_bytes", "seconds"]
_NOTE = (
    "Averages between processes, over all of them and all seeds. Predicted: by the collective's algorithm, from the "
    "payload that the ledger has. On the wire: by the interfaces' counters, where they were read, without evaluations; "
    "what the ratio is above 1 is framing (headers, acknowledgements), most of a tiny message. Seconds: of the slowest."
)
_NOT_MEASURED = " Not measured (–) in {cells}: an interface counted less than nothing beyond what it carries when idle."


def traffic_frame(data: ReportData) -> pd.DataFrame:
    """Return counted and predicted bytes for each cell and kind of message, without evaluations."""
    records = data.records
    paid = data.wire[data.wire["kind"] != "evaluation"]
    keys = [*WORKLOAD, "label", "seed", "cell_id", "kind"]
    grouped = paid.groupby(keys, sort=False, as_index=False)
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
    paid = wire[wire["kind"] != "evaluation"]
    is_measured = paid["received_bytes"].notna().groupby(paid["cell_id"])
    partly = int((is_measured.any() & ~is_measured.all()).sum())
    return _NOT_MEASURED.format(cells=plural(partly, "cell")) if partly else ""
