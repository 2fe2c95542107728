"""A figure as data: what it is called, what it shows, in words and drawn. Whoever renders needs no more."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from fdabench.analysis.data import ReportData
from fdabench.formatting import plural


def no_caption(_data: ReportData) -> str:
    """Of a figure whose absence needs no reason."""
    return ""


@dataclass(frozen=True)
class FigureSpec:
    """`caption` says what was measured, over how many cells and seeds, in which convention.

    `draw` answers None where there is nothing to show; then there is no caption either, and `absence` says why where a
    reader may look for the figure: one sentence, or nothing.
    """

    name: str
    title: str
    caption: Callable[[ReportData], str]
    draw: Callable[[ReportData], Figure | None]
    absence: Callable[[ReportData], str] = no_caption


def truncation_note(total: int, most: int, what: str) -> str:
    """Never silent about panels that did not fit."""
    return f" The first {most} of {total} {what} are shown." if total > most else ""


def the_target(data: ReportData) -> str:
    """The target of all panels, as a caption names it."""
    names = list(dict.fromkeys(headline.name for headline in data.headlines.values()))
    several = "its suite's headline target" if len(names) > 1 else f"the headline target, {names[0]}"
    return f"{several} (a panel whose title names another shows that)"


def sample_note(data: ReportData) -> str:
    finished = data.finished
    missing = len(data.runs) - len(finished)
    left_out = f" ({missing} more without a result are missing)" if missing else ""
    cells, seeds = plural(len(finished), "cell"), plural(finished["seed"].nunique(), "seed")
    return f"{cells}{left_out}, {seeds}, {data.conventions} accounting"
