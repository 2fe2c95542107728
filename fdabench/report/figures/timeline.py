"""A figure: the syncs of each strategy over local steps, with the estimate, theta and the accuracy.

The first panel shows accuracies. Each other panel shows one strategy: a tick for each sync, and the estimate, which
rises from 0 until it exceeds theta and falls to 0 at the sync.
"""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fdabench.analysis.data import ReportData
from fdabench.formatting import format_count, format_significant, join_first
from fdabench.report.figures.canvas import GREY, marker
from fdabench.report.figures.error_scale import metric_axis
from fdabench.report.figures.plot import FigureSpec
from fdabench.report.figures.tags import TITLE_TAG
from fdabench.report.figures.wrapping import wrap_label
from fdabench.style.plot_style import PlotStyle
from fdabench.tables import Record

TITLE = "Syncs over local steps"
MOST_CELLS = 8
MOST_SYNCS = 60
MOST_THETAS = 2
"""The axis of a panel contains estimates up to this multiple of theta, at least. Higher ones are cut off and marked."""
SMALLEST_DECIMAL = 1e-3
"""The smallest value that is labeled without an exponent."""
_LETTERS = 34


def chosen_cells(data: ReportData) -> pd.DataFrame:
    """Select one finished cell for each strategy of the first workload, or one for each family if there are many.

    Of several seeds it is the lowest; of a family it is the strategy in the middle of its order. Of more than
    `MOST_CELLS`, those with a monitor come first: only their syncs depend on the data.
    """
    finished = data.finished
    if finished.empty:
        return finished
    first = finished.iloc[0]
    same_workload = finished[(finished["suite"] == first["suite"]) & (finished["workload"] == first["workload"])]
    cells = same_workload.sort_values("seed", kind="stable").drop_duplicates("label")
    cells = cells.sort_index()
    if len(cells) > MOST_CELLS:
        middles = [group.index[len(group) // 2] for _, group in cells.groupby("family", sort=False)]
        cells = cells.loc[middles]
    monitored_first = cells.iloc[np.argsort(cells["monitor"].to_numpy() == "", kind="stable")]
    chosen: pd.DataFrame = monitored_first.head(MOST_CELLS).sort_index()
    return chosen


def zoom_window(data: ReportData, cells: pd.DataFrame) -> tuple[float, bool]:
    """The last step that is shown, and whether it is the last step of the run.

    If strategies with a monitor synchronize more than `MOST_SYNCS` times, later steps are left out, so that single
    syncs can be distinguished.
    """
    last = float(cells["steps"].max())
    ends = []
    for cell_id in cells.loc[cells["monitor"] != "", "cell_id"]:
        syncs = data.rounds.loc[data.rounds["cell_id"] == cell_id, "step"]
        ends.append(float(syncs.iloc[MOST_SYNCS - 1]) if len(syncs) >= MOST_SYNCS else last)
    end = float(np.median(ends)) if ends else last
    return (end, False) if end < last else (last, True)


def draw_timeline(data: ReportData) -> Figure | None:
    """Draw one panel for accuracies and one for each cell of `chosen_cells`; None if no cell has finished."""
    cells = chosen_cells(data)
    if cells.empty:
        return None
    end, _ = zoom_window(data, cells)
    figure = Figure(figsize=(7, 1.9 + 0.95 * len(cells)), layout="constrained")
    figure.suptitle(TITLE, gid=TITLE_TAG)
    axes = list(np.atleast_1d(figure.subplots(len(cells) + 1, 1, sharex=True, height_ratios=[1.7, *[1] * len(cells)])))
    _accuracy(axes[0], data, cells, end)
    for panel, cell in zip(axes[1:], cells.to_dict("records"), strict=True):
        _cell(panel, data, {str(key): value for key, value in cell.items()}, end)
    axes[-1].set_xlabel("local steps of each worker")
    axes[-1].set_xlim(0, end * 1.005)
    return figure


def _accuracy(axes: Axes, data: ReportData, cells: pd.DataFrame, end: float) -> None:
    evals = data.evals.assign(test_value=data.metric.of(data.evals, "test"))
    drawn_evals = evals[evals["cell_id"].isin(cells["cell_id"]) & (evals["step"] <= end)]
    for cell_id, label in zip(cells["cell_id"], cells["label"], strict=True):
        of_cell, style = drawn_evals[drawn_evals["cell_id"] == cell_id], data.styles[label]
        axes.plot(
            of_cell["step"],
            of_cell["test_value"],
            color=style.color,
            linestyle=style.dashes,
            label=wrap_label(label, _LETTERS, 1),
            markevery=max(1, len(of_cell) // 8),
            **marker(style, 4.5),
        )
    if len(drawn_evals):
        metric_axis(axes, data.metric, drawn_evals["test_value"], ())
    metric = data.metric
    axes.set_ylabel("test accuracy,\n% (log error)" if metric.name == "accuracy" else metric.label.replace(", ", ",\n"))
    axes.grid(visible=True)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


def _cell(axes: Axes, data: ReportData, cell: Record, end: float) -> None:
    style = data.styles[cell["label"]]
    syncs = data.rounds[data.rounds["cell_id"] == cell["cell_id"]]
    drawn_syncs = syncs[syncs["step"] <= end]
    tick, values = _estimate_curve(axes, data, cell["cell_id"], drawn_syncs, style, end)
    top = max(tick, min(_top(values), MOST_THETAS * tick))
    _ticks(axes, drawn_syncs["step"].to_numpy(float), (-0.22 * top, -0.06 * top), style.color)
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set_ylim(-0.25 * top, 1.15 * top)
    # variances of gradient averaging are those of rounding, and would have a dozen zeros
    axes.set_yticks([0, tick], ["0", format_significant(tick, 2) if tick >= SMALLEST_DECIMAL else f"{tick:.1e}"])
    axes.grid(visible=False)
    text = _cell_text(cell, syncs)
    if len(cut := values[values > 1.15 * top]):
        # the markers end at the upper edge of the panel
        axes.plot(cut.index, np.full(len(cut), 1.1 * top), "^", color=style.color, markersize=4)
        text += f"\n▲ up to {format_significant(float(cut.max()), 2)}"
    axes.text(1.01, 0.5, text, transform=axes.transAxes, va="center", fontsize=7.5)


def _ticks(axes: Axes, steps: npt.NDArray[np.float64], span: tuple[float, float], color: str) -> None:
    """Draw all ticks as one line with gaps.

    One artist for each of thousands of syncs would make the file ten times as large.
    """
    heights = np.tile([*span, np.nan], len(steps))
    axes.plot(np.repeat(steps, 3), heights, color=color, linewidth=0.6, solid_capstyle="butt")


def _estimate_curve(
    axes: Axes, data: ReportData, cell_id: str, syncs: pd.DataFrame, style: PlotStyle, end: float
) -> tuple[float, "pd.Series[float]"]:
    """Draw the estimate, or the exact model variance for a strategy without a monitor.

    Returns:
        The value that is labeled on the y axis: theta, or the highest value if no single theta exists; and the values
        by step.
    """
    trace = data.trace[(data.trace["cell_id"] == cell_id) & (data.trace["step"] <= end)].dropna(subset="estimate")
    thetas = syncs["theta"].unique()
    if len(trace):
        estimates = trace.set_index("step")["estimate"]
        _sync_sawtooth(axes, estimates, syncs["step"], style, "-")
        axes.set_ylabel("estimate")
        # FDA-Opt has another theta in each round, and 0 in the first, so no single line shows it
        if len(thetas) != 1 or not 0 < thetas[0] < math.inf:
            return _top(estimates), estimates
        axes.axhline(thetas[0], color=GREY, linewidth=0.9, linestyle="--")
        return float(thetas[0]), estimates
    evals = data.evals[(data.evals["cell_id"] == cell_id) & (data.evals["step"] <= end)]
    variances = (
        pd.concat([evals.set_index("step")["variance"], syncs.set_index("step")["variance"]]).groupby(level=0).last()
    )
    _sync_sawtooth(axes, variances, syncs["step"], style, ":")
    axes.set_ylabel("variance")
    return _top(variances), variances


def _top(values: "pd.Series[float]") -> float:
    """The largest value; 1 if there are none or all are 0."""
    highest = float(values.max()) if len(values) else 0.0
    return highest if highest > 0 else 1.0


def _sync_sawtooth(
    axes: Axes, values: "pd.Series[float]", syncs: "pd.Series[int]", style: PlotStyle, dashes: str
) -> None:
    """Draw values over steps, with 0 after each sync, because all workers then have the same model."""
    steps = np.concatenate([[0], values.index.to_numpy(float), syncs.to_numpy(float)])
    heights = np.concatenate([[0.0], values.to_numpy(float), np.zeros(len(syncs))])
    order = np.lexsort((np.concatenate([[0], np.zeros(len(values)), np.ones(len(syncs))]), steps))
    axes.plot(steps[order], heights[order], color=style.color, linewidth=0.8, linestyle=dashes)


def _cell_text(cell: Record, syncs: pd.DataFrame) -> str:
    gap = f"\n{format_significant(float(syncs['steps'].mean()), 2)} steps apart" if len(syncs) else ""
    return (
        f"{wrap_label(cell['label'], _LETTERS, 2)}\n{format_count(len(syncs))} syncs in "
        f"{format_count(cell['steps'])} steps{gap}"
    )


def caption_timeline(data: ReportData) -> str:
    """Return the caption."""
    cells = chosen_cells(data)
    end, is_complete = zoom_window(data, cells)
    first = cells.iloc[0]
    labels = data.finished["label"].nunique()
    note = f" {len(cells)} of {labels} strategies: one variant of each family." if len(cells) < labels else ""
    part = (
        ""
        if is_complete
        else f" Only the first {format_count(end)} steps are shown, so that single syncs can be distinguished."
    )
    seeds = join_first([str(seed) for seed in sorted(set(cells["seed"]))])
    metric = data.metric
    axis = "accuracies has the error on a log scale" if metric.name == "accuracy" else f"{metric.title} has a log scale"
    return (
        f"One cell for each strategy ({first['workload']}; seed {seeds}).{note}{part} Ticks: syncs. Solid: the "
        "monitor's estimate, up to about 2,000 evenly spaced steps of a run; dashed: theta; ▲: an estimate above the "
        "axis, whose highest value is beside the panel. Dotted: the exact model variance (squared L2 norm) at "
        "evaluations and just before syncs, of strategies that have no monitor. "
        f"The axis of {axis}."
    )


TIMELINE = FigureSpec("sync-timeline", TITLE, caption_timeline, draw_timeline)
