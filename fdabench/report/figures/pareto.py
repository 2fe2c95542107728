"""A figure: bytes against local steps to the target, for each strategy, with the Pareto frontier.

It is the main figure of the FDA paper.
"""

from collections.abc import Sequence
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.headline import labels_in_order
from fdabench.analysis.order import NOT_KEPT, kept_by_most
from fdabench.formatting import join_first, plural
from fdabench.report.figures.canvas import (
    GREY,
    LARGE,
    MAX_PANELS,
    SMALL,
    LegendEntry,
    Limits,
    byte_axis,
    faint_marker,
    large_marker,
    legend,
    log_limits,
    marker,
    marker_keys,
    note_offsets,
    panel_title,
    panels,
    position_of,
    shifts_of,
    step_axis,
)
from fdabench.report.figures.plot import FigureSpec, sample_note, the_target, truncation_note
from fdabench.report.figures.tags import tag_artists

_PANEL = (160.0, 125.0)
"""The width and the height of a panel's data area, in points."""
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
    frontier: LegendEntry = (Line2D([], [], color=GREY, linewidth=0.8, linestyle="--"), "Pareto frontier")
    labels = labels_in_order(pd.concat([_drawable(group) for _, group in of_workload]))
    keys = marker_keys({label: data.styles[label] for label in labels})
    excluded = workloads_without(data)
    note = f"not drawn: {_unreached(excluded)}" if excluded else ""
    legend(figure, [*keys, frontier] if has_frontier else keys, note)
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
    _markers(axes, data, group, medians, limits)
    unreached = [label for label in labels_in_order(group) if label not in medians.index]
    with_target = hits[kept_by_most(hits, ["label"])]["label"].unique()
    not_kept = [label for label in labels_in_order(hits) if label not in with_target]
    omitted = (("not reached by", unreached), ("not kept by", not_kept))
    notes = [_wrap_text(f"{how} {join_first(labels, 2)}") for how, labels in omitted if labels]
    axes.set_xlabel("\n".join([f"local steps to {group['target_name'].iloc[0]}", *notes]))
    axes.set_ylabel("bytes of all workers")
    axes.grid(visible=True)
    return _frontier(axes, medians.loc[with_target])


def _markers(
    axes: Axes, data: ReportData, group: pd.DataFrame, medians: pd.DataFrame, limits: tuple[Limits, Limits]
) -> None:
    """Draw the median of each strategy. If cells missed the target, the count of hits is written beside the marker."""
    medians = medians.sort_values("bytes_total", kind="stable")
    points = [(float(step), float(cost)) for step, cost in zip(medians["step"], medians["bytes_total"], strict=True)]
    shifts = shifts_of(points, *limits, _PANEL)
    reached = group["reached"].astype(bool).groupby(group["label"]).agg(["sum", "size"])
    counts = [reached.loc[label] for label in medians.index]
    notes = [f"{count['sum']}/{count['size']}" if count["sum"] < count["size"] else "" for count in counts]
    positions = [position_of(point, *limits, _PANEL) for point in points]
    centers = [(x + shift, y) for (x, y), shift in zip(positions, shifts, strict=True)]
    offsets = note_offsets(centers, notes, shifts, _PANEL)
    for label, point, shift, note, offset in zip(medians.index, points, shifts, notes, offsets, strict=True):
        with tag_artists(axes, str(label)):
            large_marker(axes, point, shift, {**marker(data.styles[str(label)], LARGE), "zorder": 4})
            if note:
                axes.annotate(
                    note, point, xytext=(shift + offset[0], offset[1]), textcoords="offset points", fontsize=SMALL,
                    ha="center", va="center",
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
        f"{sample_note(data)}. Faint: one cell each; bold: median over the seeds that reached it. Large markers that "
        "would overlap are shifted sideways, and a thin line leads to the true position. Dashed: the Pareto "
        f"frontier{_of_kept(data)}.{left_out}{not_drawn}"
        + truncation_note(rows.groupby(WORKLOAD).ngroups, MAX_PANELS, "workloads")
    )


def _of_kept(data: ReportData) -> str:
    hits = _drawable(data.at_workload_target)
    is_kept = kept_by_most(hits, [*WORKLOAD, "label"]).all()
    return "" if is_kept else f" of the strategies that kept the target; not kept: {NOT_KEPT}"


def _format_missed(cells: int) -> str:
    return f"{plural(cells, 'cell')} that missed it {'are' if cells != 1 else 'is'}"


PARETO = FigureSpec("pareto", TITLE, caption_pareto, draw_pareto)
