"""Tables, declared once: the same columns give the text that people read and the values that programs read.

A table is a list of records and a list of columns. A column writes one text from each record, so a cell may be made
from several values, as a mean and its interval are. Terminal, report and gate print the same declaration; what a medium
must escape, such as `|` in Markdown, is passed in by its printer.
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
    """One column.

    Args:
        key: what identifies it; where records have a number under this key, its cells are sorted by that number.
        title: its heading.
        format: the text of its cell, from a whole record.
        alignment: "right" for numbers that are compared down the column.
    """

    key: str
    title: str
    format: Callable[[Record], str]
    alignment: Alignment = "left"


def column(
    key: str, title: str | None = None, write: Callable[[Any], str] = str, alignment: Alignment = "left"
) -> Column:
    """A column of the values under one key.

    Args:
        title: the key where it is left out.
        write: the text of one value.
    """
    return Column(key, key if title is None else title, lambda record: write(record[key]), alignment)


def number(key: str, title: str, write: Callable[[Any], str]) -> Column:
    """A column of numbers, aligned at their ends."""
    return column(key, title, write, "right")


@dataclass(frozen=True)
class Table:
    """Records, and the columns that they are read in.

    Args:
        records: one for each row; programs get them whole, whether a column shows a value or not.
        data: what programs get instead, where people read a summary of it.
    """

    records: Sequence[Record]
    columns: Sequence[Column]
    data: Sequence[Record] | None = None

    @property
    def titles(self) -> tuple[str, ...]:
        return tuple(each.title for each in self.columns)

    @cached_property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The text of each cell."""
        return tuple(tuple(each.format(record) for each in self.columns) for record in self.records)

    @cached_property
    def sort_values(self) -> tuple[tuple[float | None, ...], ...]:
        """The number that each cell is sorted by; None where it is sorted by its text."""
        return tuple(tuple(_number(record.get(each.key)) for each in self.columns) for record in self.records)

    @property
    def machine(self) -> list[dict[str, Any]]:
        """The rows for programs: numbers in full, null for what is none."""
        return [json_value(record) for record in (self.records if self.data is None else self.data)]

    def markdown(self, escape: Callable[[str], str]) -> list[str]:
        """The lines of a Markdown table.

        Args:
            escape: makes the text of a cell or heading safe within a line of the table.
        """
        rule = "|".join("---:" if each.alignment == "right" else "---" for each in self.columns)
        titles, *rows = ("| " + " | ".join(map(escape, line)) + " |" for line in (self.titles, *self.rows))
        return [titles, f"|{rule}|", *rows]


def csv_text(records: Iterable[Record], keys: Sequence[str], escape: Callable[[Any], Any]) -> str:
    """Records as CSV, under their keys. A list is one field, its items separated by `; `.

    Args:
        escape: makes a value safe for a spreadsheet.
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, keys, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: escape(_field(record[key])) for key in keys} for record in records)
    return file.getvalue()


def _field(value: Any) -> Any:
    return "; ".join(str(_field(item)) for item in value) if isinstance(value, list) else value


def _number(value: Any) -> float | None:
    found = json_value(value)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None
