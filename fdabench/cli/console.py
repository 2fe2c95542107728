"""All output of the commands is printed here: the result to stdout, progress and notes to stderr.

Output to a pipe has no escape codes. In JSON and CSV, numbers stay numbers. NaN, infinity and missing values are null.
JSON keeps lists; in CSV the items of a list are joined by `; ` in one field.
"""

import json
import sys
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from fdabench.errors import UsageError
from fdabench.formatting import json_value
from fdabench.results.escaping import csv_cell, escape_control_characters
from fdabench.tables import Table, csv_text


class PipeSafeConsole(Console):
    """A rich console that raises BrokenPipeError when the reader of the pipe is closed.

    rich itself would end the program with exit code 1; `with_exit_codes` ends it without an error instead.
    """

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


AS_TABLE = ("json", "csv", "markdown")
"""Formats in which the output is one table and nothing else. In the others, lines of text may follow the table."""

out = PipeSafeConsole(highlight=False, soft_wrap=True)
err = PipeSafeConsole(stderr=True, highlight=False, soft_wrap=True)


def print_result(text: str) -> None:
    """Print a line of the result to stdout.

    Control characters are escaped, so that the terminal does not interpret them.
    """
    out.print(escape_control_characters(text), markup=False)


def print_note(text: str) -> None:
    """Print a line that is not part of the result to stderr."""
    err.print(escape_control_characters(text), markup=False)


def print_styled(lines_for: Callable[[int], Iterable[Text]]) -> None:
    """Print lines with styles to stdout.

    Args:
        lines_for: returns the lines, given the width of the terminal in columns. A longer line is wrapped by the
            terminal.
    """
    console = PipeSafeConsole(highlight=False, soft_wrap=True)
    for line in lines_for(console.width):
        console.print(line)


def uses_rich(output_format: str) -> bool:
    """Whether a table is drawn by rich: the format is `rich`, or it is `auto` and stdout is a terminal."""
    return output_format == "rich" or (output_format == "auto" and out.is_terminal)


def print_table(table: Table, output_format: str) -> None:
    """Print a table to stdout.

    Args:
        table: the table.
        output_format: one of `options.Format`; `auto` is `rich` on a terminal and `plain` in a pipe.

    Raises:
        UsageError: the format is one that only `fdabench check` has.
    """
    resolved = "rich" if uses_rich(output_format) else "plain" if output_format == "auto" else output_format
    if resolved not in _PRINTERS:
        *others, last = _PRINTERS
        raise UsageError(
            f"--output-format {resolved}: only `fdabench check` has this format; expected {', '.join(others)} or {last}"
        )
    _PRINTERS[resolved](table)


def print_data(value: object) -> None:
    """Print a value as indented JSON. NaN and infinity become null."""
    sys.stdout.write(json.dumps(json_value(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def print_text(text: str) -> None:
    """Print a complete document to stdout, without changes and without a newline at its end."""
    sys.stdout.write(text)


def _rich(table: Table) -> None:
    rich_table = RichTable(box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        rich_table.add_column(
            column.title, justify=column.alignment, overflow="fold"
        )  # fold: a truncated number is wrong
    for row in table.rows:
        rich_table.add_row(*row)
    Console(highlight=False).print(rich_table)


def _plain(table: Table) -> None:
    lines = [table.titles, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    for line in lines:
        cells = zip(line, widths, table.columns, strict=True)
        print_result("  ".join(f"{cell:{_SIDES[column.alignment]}{width}}" for cell, width, column in cells).rstrip())


def _json(table: Table) -> None:
    print_data(table.machine)


def _csv(table: Table) -> None:
    records = table.machine
    keys = list(records[0]) if records else [column.key for column in table.columns]
    sys.stdout.write(csv_text(records, keys, csv_cell))


def _markdown(table: Table) -> None:
    for line in table.markdown(lambda cell: cell.replace("|", "\\|")):
        print_result(line)


_SIDES = {"left": "<", "right": ">"}
_PRINTERS = {"rich": _rich, "plain": _plain, "json": _json, "csv": _csv, "markdown": _markdown}
