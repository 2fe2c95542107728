"""The type of a figure, `FigureSpec`, and sentences that captions of several figures contain.

`report.page` renders a figure from its specification alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from fdabench.analysis.data import ReportData
from fdabench.formatting import plural


def no_absence(_data: ReportData) -> str:
    """The `absence` of a figure that is omitted without an explanation."""
    return ""


@dataclass(frozen=True)
class FigureSpec:
    """A figure of a report.

    Args:
        name: of the file, without suffix.
        title: the heading.
        caption: returns what was measured, over how many cells and seeds, and by which convention. It is called only
            if `draw` returns a figure.
        draw: returns the figure; None if there is nothing to show.
        absence: returns a sentence that the report prints if `draw` returns None, or "" to print nothing.
    """

    name: str
    title: str
    caption: Callable[[ReportData], str]
    draw: Callable[[ReportData], Figure | None]
    absence: Callable[[ReportData], str] = no_absence


def truncation_note(total: int, most: int, what: str) -> str:
    """The sentence about what a figure leaves out for lack of space; empty if it shows everything.

    >>> truncation_note(14, 12, "workloads")
    ' The first 12 of 14 workloads are shown.'
    """
    return f" The first {most} of {total} {what} are shown." if total > most else ""


def the_target(data: ReportData) -> str:
    """The name of the headline target of all panels, for a caption."""
    names = list(dict.fromkeys(headline.name for headline in data.headlines.values()))
    target = "its suite's headline target" if len(names) > 1 else f"the headline target, {names[0]}"
    return f"{target} (or the target in the title of the panel)"


def sample_note(data: ReportData) -> str:
    """The numbers of finished cells and seeds and the accounting convention, for a caption."""
    finished = data.finished
    missing = len(data.runs) - len(finished)
    left_out = f" ({missing} more have no result)" if missing else ""
    cells, seeds = plural(len(finished), "cell"), plural(finished["seed"].nunique(), "seed")
    return f"{cells}{left_out}, {seeds}, {data.conventions} accounting"
