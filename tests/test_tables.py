"""The declaration of a table determines its text, its JSON values, and the numbers by which it is sorted."""

import csv
import io
import math

from fdabench.formatting import format_bytes
from fdabench.tables import Column, Table, column, csv_text, number

COLUMNS = (
    column("strategy"),
    Column("reached", "reached", lambda record: f"{record['reached']}/{record['cells']}", "right"),
    number("bytes", "bytes of all workers", format_bytes),
)
RECORDS = (
    {"strategy": "a|b", "reached": 3, "cells": 3, "bytes": 1_000_000, "workloads": ["x", "y"]},
    {"strategy": "c", "reached": 0, "cells": 3, "bytes": math.nan, "workloads": []},
)
TABLE = Table(RECORDS, COLUMNS)


def test_text_output_has_titles_and_formatted_values() -> None:
    assert TABLE.titles == ("strategy", "reached", "bytes of all workers")
    assert TABLE.rows == (("a|b", "3/3", "1.00 MB"), ("c", "0/3", "–"))


def test_json_has_the_records_or_the_values_that_they_summarize() -> None:
    assert TABLE.machine == [RECORDS[0], {**RECORDS[1], "bytes": None}]
    assert Table(RECORDS, COLUMNS, data=[{"seed": 0}]).machine == [{"seed": 0}]


def test_cells_are_sorted_by_the_number_under_their_key() -> None:
    assert TABLE.sort_values == ((None, 3, 1_000_000), (None, 0, None))


def test_markdown_has_column_alignment_and_escapes_special_characters() -> None:
    assert TABLE.markdown(lambda text: text.replace("|", "\\|")) == [
        "| strategy | reached | bytes of all workers |",
        "|---|---:|---:|",
        "| a\\|b | 3/3 | 1.00 MB |",
        "| c | 0/3 | – |",
    ]


def test_csv_has_numbers_in_full_and_a_list_in_one_field() -> None:
    text = csv_text(TABLE.machine, ["strategy", "bytes", "workloads"], lambda value: value)
    assert [*csv.reader(io.StringIO(text))] == [
        ["strategy", "bytes", "workloads"],
        ["a|b", "1000000", "x; y"],
        ["c", "", ""],
    ]
