"""What the gate found, on a terminal: a block for each cell, so that no number is cut to fit a column."""

import textwrap
from collections.abc import Iterator, Sequence

from rich.text import Text

from fdabench.gate.compare.verdict import Verdict
from fdabench.gate.output.cell_rows import CellRow

_STYLES = {Verdict.fail: "bold red", Verdict.inconclusive: "yellow", Verdict.better: "green"}


def render_findings(rows: Sequence[CellRow], width: int) -> Iterator[Text]:
    """Verdict, cell and the id of its worst run; below, a line for each metric, broken at words where it is long."""
    for row in rows:
        line = Text(row.verdict.value, style=_STYLES.get(row.verdict, "")).append(f"  {row.cell}", style="bold")
        yield line.append(f"  {row.id}", style="dim") if row.id else line
        for fact in row.facts:
            yield from map(Text, textwrap.wrap(fact, max(20, width), initial_indent="  ", subsequent_indent="    "))
