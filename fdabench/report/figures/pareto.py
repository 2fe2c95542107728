"""A figure: bytes against local steps to the target, for each strategy, with the Pareto frontier.

It is the main figure of the FDA paper.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, combinations, product
from math import dist
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.headline import labels_in_order
from fdabench.formatting import join_first, plural
from fdabench.report.figures.canvas import (
    GREY,
    LETTERS_PER_INCH,
    MAX_PANELS,
    SMALL,
    LegendEntry,
    Limits,
    byte_axis,
    faint_marker,
    legend,
    log_limits,
    marker,
    marker_keys,
    panel_title,
    panels,
    relative_position,
    step_axis,
)
from fdabench.report.figures.plot import FigureSpec, sample_note, the_target, truncation_note
from fdabench.report.figures.tags import tag_artists

# in points: the size of a panel's data area, the distance below which markers overlap, the distance of shifted markers
_PANEL, _OVERLAP, _SPACING = (165.0, 135.0), 10.0, 10.0
# a fraction of the panel's width: counts of markers further right are written on their left
_LEFT = 0.75
# letters in a line that is as wide as a panel
_LETTERS = 32
TITLE = "Bytes against steps to the target"


def draw_pareto(data: ReportData) -> Figure | None:
    """Draw one panel for each workload on which a strategy reached the target; None if there is none."""
    rows = data.at_workload_target
    hits = _drawable(rows)
    if hits.empty:
        return None
    of_workload = [(pair, group) for pair, group in rows.groupby(WORKLOAD, sort=False) if len(_drawable(group))]
    of_workload = of_workload[:MAX_PANELS]
    figure, axes = panels(len(of_workload), TITLE, 3.1, 2.8)
    has_frontier = False
    for panel, (pair, group) in zip(axes, of_workload, strict=True):
        has_frontier |= _panel(panel, data, group)
        panel_title(panel, data, (str(pair[0]), str(pair[1])), data.target_note(str(pair[0]), str(pair[1])))
    if excluded := workloads_without(data):
        figure.supxlabel(
            fill(f"not drawn: {_unreached(excluded)}", int(figure.get_figwidth() * LETTERS_PER_INCH)),
            fontsize=8,
        )
    frontier: LegendEntry = (Line2D([], [], color=GREY, linewidth=0.8, linestyle="--"), "Pareto frontier")
    labels = labels_in_order(pd.concat([_drawable(group) for _, group in of_workload]))
    keys = marker_keys({label: data.styles[label] for label in labels})
    legend(figure, [*keys, frontier] if has_frontier else keys)
    return figure


def workloads_without(data: ReportData) -> list[str]:
    """The titles of the workloads on which no cell reached a target with more than 0 bytes."""
    groups = data.at_workload_target.groupby(WORKLOAD, sort=False)
    return [data.workload_title(*pair) for pair, group in groups if _drawable(group).empty]


def _unreached(workloads: Sequence[str]) -> str:
    return f"{'; '.join(workloads)}, where no strategy reached a target"


def _drawable(rows: pd.DataFrame) -> pd.DataFrame:
    """The outcomes that reached the target with more than 0 bytes.

    A logarithmic scale cannot show 0 bytes, which is the cost of one worker with the convention "ring".
    """
    return rows[rows["reached"].astype(bool) & (rows["bytes_total"] > 0)]


def _panel(axes: Axes, data: ReportData, group: pd.DataFrame) -> bool:
    """Draw one workload. Returns whether the panel has a frontier."""
    hits = _drawable(group)
    medians = hits.groupby("label", sort=False)[["step", "bytes_total"]].median().astype(float)
    for label, of_label in hits.groupby("label", sort=False):
        if len(of_label) > 1:  # a single cell is the median, which is drawn below
            with tag_artists(axes, str(label)):
                axes.plot(
                    of_label["step"], of_label["bytes_total"], zorder=2, **faint_marker(data.styles[str(label)], 3.5)
                )
    limits = log_limits(hits["step"]), log_limits(hits["bytes_total"])
    step_axis(axes.xaxis, limits[0])
    byte_axis(axes.yaxis, limits[1])
    axes.set_xlim(*limits[0])  # matplotlib's automatic limits ignore shifted markers
    axes.set_ylim(*limits[1])
    for labels in overlapping_labels(medians, *limits):
        _markers(axes, data, group, medians.loc[labels], limits[0])
    unreached = [label for label in labels_in_order(group) if label not in medians.index]
    missing = "\n" + _wrap_text(f"not reached by {join_first(unreached, 2)}") if unreached else ""
    axes.set_xlabel(f"local steps to {group['target_name'].iloc[0]}{missing}")
    axes.set_ylabel("bytes of all workers")
    axes.grid(visible=True)
    return _frontier(axes, medians)


def overlapping_labels(medians: pd.DataFrame, step_limits: Limits, byte_limits: Limits) -> list[list[str]]:
    """Group the strategies whose markers would overlap.

    Args:
        medians: the median `step` and `bytes_total` of each strategy, by label.
        step_limits: the limits of the x axis.
        byte_limits: the limits of the y axis.

    Returns:
        Lists of labels, each in increasing order of bytes; a list of one label for a marker that overlaps no other.
    """
    positions = {
        str(label): (
            relative_position(step, step_limits) * _PANEL[0],
            relative_position(cost, byte_limits) * _PANEL[1],
        )
        for label, step, cost in medians.sort_values("bytes_total", kind="stable").itertuples()
    }
    order = list(positions)
    groups = [[label] for label in order]
    # markers of a group lie side by side, so they can overlap with those of another group, which then joins it
    while pair := next((pair for pair in combinations(groups, 2) if _overlap(*pair, positions)), None):
        groups = [group for group in groups if group not in pair] + [sorted(chain(*pair), key=order.index)]
    return sorted(groups, key=lambda group: order.index(group[0]))


def _overlap(group: list[str], other: list[str], positions: Mapping[str, tuple[float, float]]) -> bool:
    """Whether a marker of one group overlaps with one of the other, where they are drawn."""
    spots = [_spots([positions[label] for label in labels]) for labels in (group, other)]
    return any(dist(first, second) < _OVERLAP for first, second in product(*spots))


def _spots(positions: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where the markers of a group are drawn: side by side around the mean of their positions, in points."""
    x, y = (sum(axis) / len(positions) for axis in zip(*positions, strict=True))
    return [(x + shift, y) for shift in shifts_of(len(positions), x / _PANEL[0])]


def shifts_of(number: int, position: float) -> list[float]:
    """The horizontal shifts of markers that are drawn side by side around one position, within the panel.

    Args:
        number: of markers.
        position: in 0..1 of the panel's width.

    Returns:
        For each marker the shift to the right, in points.

    >>> shifts_of(3, 0.5)
    [-10.0, 0.0, 10.0]
    """
    half, center = _SPACING * (number - 1) / 2, position * _PANEL[0]
    shift = min(max(center, half + _OVERLAP), _PANEL[0] - half - _OVERLAP) - center if number > 1 else 0.0
    return [shift - half + _SPACING * i for i in range(number)]


def _markers(axes: Axes, data: ReportData, group: pd.DataFrame, medians: pd.DataFrame, step_limits: Limits) -> None:
    """Draw the markers of strategies that would overlap, side by side and joined by a line.

    A single strategy is drawn at its position. If cells missed the target, the counts of hits are written beside the
    markers.
    """
    step, num_bytes = (float(np.exp(np.log(medians[cost]).mean())) for cost in ("step", "bytes_total"))
    position = relative_position(step, step_limits)
    shifts = shifts_of(len(medians), position)
    is_right = position > _LEFT
    if len(medians) > 1:
        axes.annotate(
            "", (step, num_bytes), xytext=(max(shifts, key=abs), 0), textcoords="offset points",
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
    counts = []
    for label, shift in zip(medians.index, shifts, strict=True):
        shifted = axes.transData + ScaledTranslation(shift / 72, 0, axes.figure.dpi_scale_trans)
        with tag_artists(axes, str(label)):
            axes.plot(step, num_bytes, linestyle="", zorder=4, transform=shifted, **marker(data.styles[str(label)], 8))
        of_label = group[group["label"] == label]
        counts.append((int(of_label["reached"].sum()), len(of_label)))
    if any(reached < cells for reached, cells in counts):
        words = ", ".join(f"{reached}/{cells}" for reached, cells in counts)
        side = shifts[0] - 6 if is_right else shifts[-1] + 6
        axes.annotate(
            words, (step, num_bytes), xytext=(side, 4), textcoords="offset points", fontsize=SMALL,
            ha="right" if is_right else "left",
        )  # fmt: skip


def _wrap_text(text: str) -> str:
    """Wrap a list of labels, but not between the name and the setting of one label."""
    return fill(text.replace(" θ", "\u00a0θ").replace(" τ", "\u00a0τ"), _LETTERS)


def _frontier(axes: Axes, medians: pd.DataFrame) -> bool:
    """Draw the Pareto frontier if it has at least two strategies: no other strategy has lower costs of both kinds.

    Returns whether the line was drawn.
    """
    best = medians.sort_values(["step", "bytes_total"])
    best = best[best["bytes_total"] < best["bytes_total"].cummin().shift(fill_value=float("inf"))]
    if len(best) < 2:
        return False
    axes.step(best["step"], best["bytes_total"], where="post", color=GREY, linewidth=0.8, linestyle="--", zorder=1)
    return True


def caption_pareto(data: ReportData) -> str:
    """Return the caption."""
    rows = data.at_workload_target
    num_missed = int((~rows["reached"]).sum())
    excluded = workloads_without(data)
    not_drawn = f" Not drawn: {_unreached(excluded)}." if excluded else ""
    left_out = (
        f" {_format_missed(num_missed)} left out; n/N: n of N runs reached the target, if some missed it."
        if num_missed
        else ""
    )
    return (
        "Bytes of all workers against local steps of each worker until the first evaluation at "
        f"{the_target(data)}, both on log scales; down and left is better. "
        f"{sample_note(data)}. Faint: one cell each; bold: median over the seeds that reached it. Markers that would "
        f"overlap are drawn side by side on a line. Dashed: the Pareto frontier.{left_out}{not_drawn}"
        + truncation_note(rows.groupby(WORKLOAD).ngroups, MAX_PANELS, "workloads")
    )


def _format_missed(cells: int) -> str:
    return f"{plural(cells, 'cell')} that missed it {'are' if cells != 1 else 'is'}"


PARETO = FigureSpec("pareto", TITLE, caption_pareto, draw_pareto)
