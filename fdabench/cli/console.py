"""The only place that prints. stdout carries the result, stderr the progress; no escape codes in a pipe.

Programs read numbers as numbers and lists as lists; what is no number (NaN, infinity, a missing value) is null. In a
row of CSV a list is one field, its items separated by `; `.
"""

import csv
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from fdabench.errors import UsageError
from fdabench.results.text import csv_cell, visible


class Quiet(Console):
    """rich ends the program with exit code 1 when the reader goes away; the guard knows better."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


AS_TABLE = ("json", "csv", "markdown")
"""Forms that hold one table and nothing else; in the others lines of text may follow it."""

out = Quiet(highlight=False, soft_wrap=True)
err = Quiet(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Table:
    """A result as rows of text, whichever way it is printed; `records` is what programs read instead, where given."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    records: Sequence[Mapping[str, Any]] | None = None

    @property
    def machine(self) -> list[dict[str, Any]]:
        if self.records is not None:
            return [_plain_value(record) for record in self.records]
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def say(text: str) -> None:
    """A line of the result, as it is; what a terminal would obey is written out."""
    out.print(visible(text), markup=False)


def remark(text: str) -> None:
    """A line that is not part of the result."""
    err.print(visible(text), markup=False)


def print_styled(lines_for: Callable[[int], Iterable[Text]]) -> None:
    """Lines in colours, made for the width of the terminal; what is longer is left to it."""
    console = Quiet(highlight=False, soft_wrap=True)
    for line in lines_for(console.width):
        console.print(line)


def for_a_terminal(output_format: str) -> bool:
    """`auto` is rich on a terminal, plain in a pipe."""
    return output_format == "rich" or (output_format == "auto" and out.is_terminal)


def print_table(table: Table, output_format: str) -> None:
    """`auto` is rich on a terminal, plain in a pipe.

    Raises:
        UsageError: a form that is for verdicts, not for tables.
    """
    chosen = "rich" if for_a_terminal(output_format) else "plain" if output_format == "auto" else output_format
    if chosen not in _PRINTERS:
        raise UsageError(f"--output-format {chosen}: it is for `fdabench check`; here: {', '.join(_PRINTERS)}")
    _PRINTERS[chosen](table)


def print_data(value: Any) -> None:
    """JSON, for programs."""
    sys.stdout.write(json.dumps(_plain_value(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def print_text(text: str) -> None:
    """A document of its own, to the letter."""
    sys.stdout.write(text)


def _plain_value(value: Any) -> Any:
    """As JSON has it: numbers of numpy and pandas are Python's, and what is no number is null."""
    if isinstance(value, Mapping):
        return {key: _plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def _rich(table: Table) -> None:
    drawn = RichTable(box=None, pad_edge=False, header_style="bold")
    for name in table.columns:
        drawn.add_column(name, overflow="fold")  # a number without its end is another number
    for row in table.rows:
        drawn.add_row(*row)
    Console(highlight=False).print(drawn)


def _plain(table: Table) -> None:
    lines = [table.columns, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _json(table: Table) -> None:
    print_data(table.machine)


def _csv(table: Table) -> None:
    columns = list(table.records[0]) if table.records else table.columns
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: csv_cell(_field(value)) for key, value in row.items()} for row in table.machine)


def _field(value: Any) -> Any:
    return "; ".join(str(_field(item)) for item in value) if isinstance(value, list) else value


def _markdown(table: Table) -> None:
    for line in (table.columns, tuple("---" for _ in table.columns), *table.rows):
        say("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |")


_PRINTERS = {"rich": _rich, "plain": _plain, "json": _json, "csv": _csv, "markdown": _markdown}


def in_time(seconds: float) -> str:
    """1.2 s, 42 s, 12 min, 3 h 05 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
