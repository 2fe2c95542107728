"""Tables that are declared once and printed as text, Markdown, CSV or JSON, by the terminal, reports and the gate.

A table is a list of records and a list of columns. A column formats one text from a whole record, so a cell may combine
several values, such as a mean and its interval. Programs get the records themselves. The caller passes the function
that escapes special characters of the format, such as `|` in Markdown.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from fdabench.formatting import json_value

Record = Mapping[str, Any]
Alignment = Literal["left", "right"]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        key: identifies the column. If a record has a number under this key, the cell is sorted by that number.
        title: the heading.
        format: returns the text of the cell of a record.
        alignment: "right" for numbers.
    """

    key: str
    title: str
    format: Callable[[Record], str]
    alignment: Alignment = "left"


def column(
    key: str, title: str | None = None, write: Callable[[Any], str] = str, alignment: Alignment = "left"
) -> Column:
    """Return a column of the values under one key.

    Args:
        key: of the values.
        title: the heading; None: the key.
        write: returns the text of a value.
        alignment: "right" for numbers.
    """
    return Column(key, key if title is None else title, lambda record: write(record[key]), alignment)


def number(key: str, title: str, write: Callable[[Any], str]) -> Column:
    """Return a column of numbers, aligned to the right; arguments as in `column`."""
    return column(key, title, write, "right")


@dataclass(frozen=True)
class Table:
    """Records, and the columns that they are printed in.

    Args:
        records: one for each row. Programs get all their values, including those that no column shows.
        columns: in order.
        data: the records for programs, if `records` are only a summary of them.
    """

    records: Sequence[Record]
    columns: Sequence[Column]
    data: Sequence[Record] | None = None

    @property
    def titles(self) -> tuple[str, ...]:
        """The headings of the columns."""
        return tuple(column.title for column in self.columns)

    @cached_property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The text of each cell, by row."""
        return tuple(tuple(column.format(record) for column in self.columns) for record in self.records)

    @cached_property
    def sort_values(self) -> tuple[tuple[float | None, ...], ...]:
        """The number by which each cell is sorted, by row; None for cells that are sorted by their text."""
        return tuple(tuple(_number(record.get(column.key)) for column in self.columns) for record in self.records)

    @property
    def machine(self) -> list[dict[str, object]]:
        """The records for programs, as `json_value` converts them: not rounded, and None for NaN and infinity."""
        records = self.records if self.data is None else self.data
        return [{key: json_value(value) for key, value in record.items()} for record in records]

    def markdown(self, escape: Callable[[str], str]) -> list[str]:
        """Return the lines of a Markdown table.

        Args:
            escape: escapes the text of a cell or heading.
        """
        rule = "|".join("---:" if column.alignment == "right" else "---" for column in self.columns)
        titles, *rows = ("| " + " | ".join(map(escape, line)) + " |" for line in (self.titles, *self.rows))
        return [titles, f"|{rule}|", *rows]


def csv_text(records: Iterable[Record], keys: Sequence[str], escape: Callable[[object], object]) -> str:
    """Return records as CSV with a header. A list is one field, with its items separated by `; `.

    Args:
        records: one for each row.
        keys: the columns.
        escape: escapes a value, for example against formulas in spreadsheets.

    >>> csv_text([{"cell": "a", "targets": [0.9, 0.95]}], ["cell", "targets"], str)
    'cell,targets\\na,0.9; 0.95\\n'
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, keys, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: escape(_field(record[key])) for key in keys} for record in records)
    return file.getvalue()


def _field(value: object) -> object:
    return "; ".join(str(_field(item)) for item in value) if isinstance(value, list) else value


def _number(value: object) -> float | None:
    number = json_value(value)
    return number if isinstance(number, int | float) and not isinstance(number, bool) else None
