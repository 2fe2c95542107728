"""The table of measured traffic: a sum over some of the collectives is not shown as a total."""

from types import SimpleNamespace
from typing import Any, cast

import pandas as pd

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.report.tables.traffic import traffic_tables
from support.digits_results import make_record

CELL = {**dict.fromkeys(WORKLOAD, "w"), "label": "FDA", "seed": 0, "cell_id": "c", "count": 1, "seconds": 0.5}


def message_of(*received: int | None) -> Any:
    """A model and, after it, states; one row for each."""
    kinds = ["model", *["state"] * (len(received) - 1)]
    rows = [
        {**CELL, "kind": kind, "predicted_bytes": 100, "received_bytes": number}
        for kind, number in zip(kinds, received, strict=True)
    ]
    wire = pd.DataFrame(rows).astype({"received_bytes": "float64"})
    records = {"c": make_record("c", processes=2)}
    data = SimpleNamespace(wire=wire, records=records, workload_title=lambda suite, workload: "here")
    (table,) = traffic_tables(cast(ReportData, data))
    return table


def test_the_table_sums_all_measured_bytes() -> None:
    table = message_of(110, 105, 107)
    assert table.frame["received_bytes"].tolist() == [110, 212]
    assert "Not measured" not in table.note


def test_one_average_that_was_not_measured_leaves_the_sum_unknown() -> None:
    table = message_of(110, 105, None)
    assert table.frame["received_bytes"].isna().tolist() == [False, True]
    assert [row[-3:-1] for row in table.rows] == [("110 B", "1.1000"), ("–", "–")]
    assert "Not measured (–) in 1 cell:" in table.note


def test_an_interface_that_was_never_read_is_not_an_error() -> None:
    assert "Not measured" not in message_of(None, None).note
