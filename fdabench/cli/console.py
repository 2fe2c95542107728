"""The only place that prints. stdout carries the result, stderr the progress; no escape codes in a pipe.

Programs read numbers as numbers and lists as lists; what is no number (NaN, infinity, a missing value) is null. In a
row of CSV a list is one field, its items separated by `; `.
"""

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from fdabench.errors import UsageError
from fdabench.formatting import json_value
from fdabench.results.escaping import csv_cell, escape_control_characters
from fdabench.tables import Table, csv_text


class PipeSafeConsole(Console):
    """rich ends the program with exit code 1 when the reader goes away; the guard knows better."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


AS_TABLE = ("json", "csv", "markdown")
"""Forms that hold one table and nothing else; in the others lines of text may follow it."""

out = PipeSafeConsole(highlight=False, soft_wrap=True)
err = PipeSafeConsole(stderr=True, highlight=False, soft_wrap=True)


def print_result(text: str) -> None:
    """A line of the result, as it is; a character that a terminal would interpret is written out."""
    out.print(escape_control_characters(text), markup=False)


def print_note(text: str) -> None:
    """A line that is not part of the result."""
    err.print(escape_control_characters(text), markup=False)


def print_styled(lines_for: Callable[[int], Iterable[Text]]) -> None:
    """Lines in colors, made for the width of the terminal; what is longer is left to it."""
    console = PipeSafeConsole(highlight=False, soft_wrap=True)
    for line in lines_for(console.width):
        console.print(line)


def uses_rich(output_format: str) -> bool:
    """`auto` is rich on a terminal, plain in a pipe."""
    return output_format == "rich" or (output_format == "auto" and out.is_terminal)


def print_table(table: Table, output_format: str) -> None:
    """`auto` is rich on a terminal, plain in a pipe.

    Raises:
        UsageError: a form that is for verdicts, not for tables.
    """
    chosen = "rich" if uses_rich(output_format) else "plain" if output_format == "auto" else output_format
    if chosen not in _PRINTERS:
        raise UsageError(f"--output-format {chosen}: it is for `fdabench check`; here: {', '.join(_PRINTERS)}")
    _PRINTERS[chosen](table)


def print_data(value: Any) -> None:
    """JSON, for programs."""
    sys.stdout.write(json.dumps(json_value(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def print_text(text: str) -> None:
    """A document of its own, to the letter."""
    sys.stdout.write(text)


def _rich(table: Table) -> None:
    drawn = RichTable(box=None, pad_edge=False, header_style="bold")
    for each in table.columns:
        drawn.add_column(each.title, justify=each.alignment, overflow="fold")  # a number without its end is another
    for row in table.rows:
        drawn.add_row(*row)
    Console(highlight=False).print(drawn)


def _plain(table: Table) -> None:
    lines = [table.titles, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    for line in lines:
        cells = zip(line, widths, table.columns, strict=True)
        print_result("  ".join(f"{cell:{_SIDES[each.alignment]}{width}}" for cell, width, each in cells).rstrip())


def _json(table: Table) -> None:
    print_data(table.machine)


def _csv(table: Table) -> None:
    records = table.machine
    keys = list(records[0]) if records else [each.key for each in table.columns]
    sys.stdout.write(csv_text(records, keys, csv_cell))


def _markdown(table: Table) -> None:
    for line in table.markdown(lambda cell: cell.replace("|", "\\|")):
        print_result(line)


_SIDES = {"left": "<", "right": ">"}
_PRINTERS = {"rich": _rich, "plain": _plain, "json": _json, "csv": _csv, "markdown": _markdown}
