"""Formats the findings of `fdabench check` for a terminal: one block of lines for each cell.

A table would truncate numbers to the width of its columns.
"""

import textwrap
from collections.abc import Iterator, Sequence

from rich.text import Text

from fdabench.gate.compare.verdict import Verdict
from fdabench.gate.output.cell_rows import CellRow

_STYLES = {Verdict.fail: "bold red", Verdict.inconclusive: "yellow", Verdict.better: "green"}


def render_findings(rows: Sequence[CellRow], width: int) -> Iterator[Text]:
    """Yield a line with the verdict, the cell and the id of its worst run, then a line for each metric.

    Args:
        rows: the cells with findings.
        width: columns of the terminal. Longer lines are wrapped between words.
    """
    for row in rows:
        line = Text(row.verdict.value, style=_STYLES.get(row.verdict, "")).append(f"  {row.cell}", style="bold")
        yield line.append(f"  {row.id}", style="dim") if row.id else line
        for fact in row.facts:
            yield from map(Text, textwrap.wrap(fact, max(20, width), initial_indent="  ", subsequent_indent="    "))
