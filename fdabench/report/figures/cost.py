"""A figure: the bytes that each strategy sent until it reached the target, and the share of local states in them."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.headline import labels_in_order
from fdabench.analysis.order import kept_by_most, not_kept
from fdabench.analysis.stats import geometric_mean
from fdabench.formatting import format_bytes, plural
from fdabench.report.figures.canvas import MAX_PANELS, SMALL, Limits, PlotArguments, byte_axis, panel_title, panels
from fdabench.report.figures.plot import FigureSpec, sample_note, the_target, truncation_note
from fdabench.report.figures.wrapping import wrap_label

TITLE = "Bytes to the target"
_MISS_HATCH, _NOT_KEPT_HATCH = "////", "..."
# in 0..1: a smaller share of local states is shown as "<1 %"
MIN_PRINTED_SHARE = 0.01
# the space beside the longest bar, as a multiple of its length; with the share of local states at a bar of 0.8 times
# that length or more
SPACE, SPACE_WITH_STATES, LONG = 0.62, 0.85, 0.8
_COLUMNS, _LETTERS = 2, 34
# heights in inches: a bar, a line of its label, the space above and below the bars
_BAR, _LINE, _MARGIN = 0.27, 0.12, 0.75


def draw_cost(data: ReportData) -> Figure | None:
    """Draw one panel with bars for each workload; None if no suite has outcomes at a target."""
    rows = data.at_workload_target
    if data.at_suite_target.empty:
        return None
    of_workload = list(rows.groupby(WORKLOAD, sort=False))[:MAX_PANELS]
    names = [[wrap_label(label, _LETTERS) for label in labels_in_order(group)] for _, group in of_workload]
    lines = max(name.count("\n") + 1 for labels in names for name in labels)
    most = [max(map(len, names[i : i + _COLUMNS])) for i in range(0, len(names), _COLUMNS)]
    heights = [max(_BAR, _LINE * (lines + 1)) * bars + _MARGIN for bars in most]
    figure, axes = panels(len(of_workload), TITLE, 4.4, heights, columns=_COLUMNS)
    limits = common_limits(rows)
    for place, (panel, (pair, group)) in enumerate(zip(axes, of_workload, strict=True)):
        _panel(panel, data, group, limits)
        panel.set_yticks(range(len(names[place])), names[place])
        panel.set_ylim(most[place // _COLUMNS] - 0.4, -0.6)
        panel_title(panel, data, (str(pair[0]), str(pair[1])), data.target_note(str(pair[0]), str(pair[1])))
    keys = _keys(rows)
    columns = 2 if len(of_workload) == 1 or len(keys) > 3 else 3
    figure.legend(handles=keys, loc="outside lower center", ncols=columns, frameon=False)
    return figure


def _keys(rows: pd.DataFrame) -> list[Line2D | Patch]:
    seed = "one seed (▷ missed it, ◇ not kept)" if not_kept(rows).any() else "one seed (▷ missed it)"
    keys: list[Line2D | Patch] = [
        Patch(facecolor="#BBBBBB", edgecolor="black", label="mean, all seeds reached it"),
        Patch(facecolor="#BBBBBB", edgecolor="black", hatch=_MISS_HATCH, label="lower bound, a seed missed it"),
        Line2D([], [], color="black", marker="o", markersize=3, linewidth=0.8, label=seed),
    ]
    if not kept_by_most(rows[rows["reached"]], [*WORKLOAD, "label"]).all():
        keys.append(Patch(facecolor="#BBBBBB", edgecolor="black", hatch=_NOT_KEPT_HATCH, label="most hits not kept"))
    return keys


def _panel(axes: Axes, data: ReportData, group: pd.DataFrame, limits: Limits) -> None:
    for position, label in enumerate(labels_in_order(group)):
        _bar(axes, group[group["label"] == label], position, limits[0], data.styles[label].color)
    byte_axis(axes.xaxis, limits)
    axes.set_xlabel(f"bytes of all workers to {group['target_name'].iloc[0]}")
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)


def common_limits(rows: pd.DataFrame) -> Limits:
    """The limits of the x axis of all panels: from a power of ten to the largest cost, with space for annotations."""
    positive = rows.loc[rows["cost_bytes"] > 0, "cost_bytes"].astype(float)
    if positive.empty:
        return 1.0, 10.0
    floor, longest = float(10 ** np.floor(np.log10(positive.min() * 0.8))), float(positive.max())
    # beside a long bar the share of local states needs space as well
    with_states = positive[rows["bytes_state"].fillna(0) > 0]
    is_long = (with_states > longest**LONG * floor ** (1 - LONG)).any()
    return floor, longest * (longest / floor) ** (SPACE_WITH_STATES if is_long else SPACE)


def _bar(axes: Axes, rows: pd.DataFrame, position: int, floor: float, color: str) -> None:
    cost = geometric_mean(rows["cost_bytes"])
    if not np.isfinite(cost):
        axes.text(floor, position, f" 0/{len(rows)}, diverged", va="center", fontsize=SMALL)
        return
    has_misses = not rows["reached"].all()
    if cost == 0:  # for example one worker with the convention "ring"
        axes.text(floor, position, f" {format_bytes(0)}, {_bar_label(rows)}", va="center", fontsize=SMALL)
        return
    is_kept = kept_by_most(rows[rows["reached"]], ["label"]).all()
    hatch = (_MISS_HATCH if has_misses else "") + ("" if is_kept else _NOT_KEPT_HATCH)
    options: PlotArguments = {"alpha": 0.45 if hatch else 0.8, "hatch": hatch or None}
    axes.barh(position, cost - floor, left=floor, height=0.62, color=color, edgecolor="black", linewidth=0.6, **options)
    _seeds(axes, rows, position)
    words = f"{'≥ ' if has_misses else ''}{format_bytes(cost)}, {_bar_label(rows)}"
    end = (max(cost, float(rows["cost_bytes"].max())), position)
    axes.annotate(words, end, xytext=(5, 0), textcoords="offset points", va="center", fontsize=SMALL)


def _seeds(axes: Axes, rows: pd.DataFrame, position: int) -> None:
    """Draw a point for each seed, and a line from the lowest to the highest."""
    ends = rows["cost_bytes"].min(), rows["cost_bytes"].max()
    halo = [withStroke(linewidth=2.2, foreground="white")]
    axes.plot(ends, [position - 0.12] * 2, color="black", linewidth=0.8, zorder=3, path_effects=halo)
    lost = not_kept(rows)
    kinds = ((rows["reached"] & ~lost, "o", "black"), (~rows["reached"], ">", "white"), (lost, "D", "white"))
    for mask, marks, fill in kinds:
        points = rows.loc[mask, "cost_bytes"]
        options: PlotArguments = {"color": "black", "markersize": 2.8, "markerfacecolor": fill, "markeredgewidth": 0.6}
        options["path_effects"] = halo
        axes.plot(points, np.full(len(points), position - 0.12), marks, zorder=4, **options)


def _state_share(rows: pd.DataFrame) -> float:
    """The share of local states in the bytes until the target, in 0..1; mean over the seeds that reached it."""
    hits = rows[rows["reached"]]
    return float((hits["bytes_state"] / hits["bytes_total"]).mean()) if len(hits) else 0.0


def _bar_label(rows: pd.DataFrame) -> str:
    share = _state_share(rows)
    states = f", {100 * share:.0f} % states" if share >= MIN_PRINTED_SHARE else ", <1 % states" if share > 0 else ""
    return f"{int(rows['reached'].sum())}/{len(rows)}{states}"


def caption_cost(data: ReportData) -> str:
    """Return the caption."""
    rows = data.at_workload_target
    num_missed = int((~rows["reached"]).sum())
    miss_count = f" {num_missed} of {plural(len(rows), 'cell')} missed it"
    misses = f"{miss_count}; hatched bars count the bytes that these cells spent, so they are lower bounds."
    lost = (
        " Not kept: the target was reached before the first sync, with a mean of models that was not sent, or was lost "
        "again by the last evaluation."
    )
    return (
        f"Bytes of all workers until the first evaluation at {the_target(data)}. "
        f"{sample_note(data)}. Bar: geometric mean over seeds; dots: single seeds, joined from lowest to "
        "highest; n/N: seeds that reached the target; states: the share of local states in the bytes. All panels have "
        "the same logarithmic axis. It begins at an arbitrary power of ten, so compare the ends of bars, not their "
        "lengths."
        + (misses if num_missed else "")
        + (lost if not_kept(rows).any() else "")
        + truncation_note(rows.groupby(WORKLOAD).ngroups, MAX_PANELS, "workloads")
    )


COST = FigureSpec("bytes-to-target", TITLE, caption_cost, draw_cost)
