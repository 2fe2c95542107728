"""What the gate found, on a terminal: a block for each cell, so that no number is cut to fit a column."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from fdabench.gate.verdict import Finding, Verdict
from fdabench.gate.words import change, value

_STYLES = {Verdict.fail: "bold red", Verdict.inconclusive: "yellow", Verdict.better: "green"}


def blocks(findings: Sequence[Finding], width: int) -> Iterator[Text]:
    """The cell with the worst finding first."""
    cells: dict[str, list[Finding]] = {}
    for finding in findings:
        cells.setdefault(finding.cell, []).append(finding)
    for cell, found in cells.items():
        yield Text(cell, style="bold")
        yield from _lines(found, width)


def _lines(findings: Sequence[Finding], width: int) -> Iterator[Text]:
    """Verdict, class, seed, metric, numbers; a note that has no room beside them is below, and not said twice."""
    rows = [_row(finding) for finding in findings]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    below = ""
    for finding, row in zip(findings, rows, strict=True):
        cells = [text.ljust(size) for text, size in zip(row, widths, strict=True)]
        line = Text("  ").append(cells[0], style=_STYLES.get(finding.verdict, ""))
        line.append("  ".join(["", *cells[1:]]))
        fits = len(line) + 2 + len(finding.note) <= width
        if fits:
            line.append(f"  {finding.note}")
        line.rstrip()
        yield line
        if not fits and finding.note != below:
            below = finding.note
            yield Text(f"      {below}", style="dim")


def _row(finding: Finding) -> tuple[str, ...]:
    seed = "" if finding.seed is None else f"s{finding.seed}"
    return finding.verdict.value, finding.kind, seed, finding.metric, _numbers(finding)


def _numbers(finding: Finding) -> str:
    before, after = value(finding, finding.before), value(finding, finding.after)
    if finding.kind == "limit":
        return f"{after}, limit {before}"
    return f"{before} -> {after}" + (f"  {change(finding)}" if finding.change is not None else "")
