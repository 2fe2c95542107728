"""A figure: the share of seeds that have reached the target, against local steps (Kaplan-Meier estimate).

The axis has steps instead of bytes, because the estimate requires that censoring does not depend on the run. A budget
ends at a step that is known in advance; the bytes sent by then depend on the run.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.resampling import LEAST_SEEDS
from fdabench.analysis.survival import kaplan_meier
from fdabench.formatting import plural
from fdabench.report.figures.canvas import (
    MAX_PANELS,
    PlotArguments,
    legend,
    line_keys,
    log_limits,
    marker,
    panel_title,
    panels,
    step_axis,
)
from fdabench.report.figures.plot import FigureSpec, truncation_note
from fdabench.report.figures.tags import tag_artists
from fdabench.style.plot_style import PlotStyle

TITLE = "Seeds that have reached the target, by steps"


def groups_by_workload(data: ReportData) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """Select the workloads on which a cell reached the target and a strategy has at least `LEAST_SEEDS` seeds.

    Returns:
        Pairs of (suite, workload) and the workload's rows of `data.at_workload_target`.
    """
    return [
        ((str(pair[0]), str(pair[1])), group)
        for pair, group in data.at_workload_target.groupby(WORKLOAD, sort=False)
        if group["reached"].any() and group.groupby("label")["seed"].nunique().max() >= LEAST_SEEDS
    ]


def draw_attainment(data: ReportData) -> Figure | None:
    """Draw one panel for each workload of `groups_by_workload`; None if there is none."""
    groups = groups_by_workload(data)
    if not groups:
        return None
    figure, axes = panels(min(len(groups), MAX_PANELS), TITLE, 3.1, 2.4)
    present: set[str] = set()
    for panel, (pair, group) in zip(axes, groups, strict=False):
        present |= set(group["label"])
        _panel(panel, data, group)
        panel_title(panel, data, pair, data.target_note(*pair))
    legend(figure, line_keys({label: data.styles[label] for label in data.labels if label in present}))
    return figure


def _panel(axes: Axes, data: ReportData, group: pd.DataFrame) -> None:
    limits = log_limits(group["cost_steps"])
    end = float(group["cost_steps"].max())
    for label, of_label in group.groupby("label", sort=False):
        with tag_artists(axes, str(label)):
            _strategy(axes, of_label, data.styles[str(label)], limits[0], end)
    step_axis(axes.xaxis, limits)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}"))
    axes.set_xlabel(f"local steps of each worker until {group['target_name'].iloc[0]}")
    axes.set_ylabel("seeds that reached it, %")
    axes.grid(visible=True)


def _strategy(axes: Axes, rows: pd.DataFrame, style: PlotStyle, begin: float, end: float) -> None:
    """Draw the curve of one strategy, and a vertical tick for each seed that missed the target.

    The curve ends at the last hit if all seeds reached the target, and otherwise at the last step of those that
    missed it. A diverged seed counts as missing the target until `end`.

    Args:
        axes: the panel.
        rows: the outcomes of the strategy.
        style: its color and markers.
        begin: the lower limit of the x axis.
        end: the largest number of steps of any strategy on the workload.
    """
    observed, reached = rows["cost_steps"].astype(float).fillna(end).to_numpy(), rows["reached"].to_numpy(bool)
    steps, shares = kaplan_meier(observed, reached)
    xs = np.concatenate([[begin], steps, [observed.max()]])
    heights = np.concatenate([[0.0], shares, [0.0, *shares][-1:]])
    options: PlotArguments = {"color": style.color, "linestyle": style.dashes, "clip_on": False}
    marks = list(range(1, len(steps) + 1, max(1, len(steps) // 6)))
    axes.plot(xs, heights, drawstyle="steps-post", markevery=marks, **options, **marker(style, 4.5))
    censored = observed[~reached]
    if len(censored):
        # the height of the curve at the step at which each of these seeds ended
        levels = np.concatenate([[0.0], shares])[np.searchsorted(steps, censored, side="right")]
        axes.plot(censored, levels, "|", color=style.color, markersize=8, markeredgewidth=1.4, clip_on=False, zorder=4)


def caption_attainment(data: ReportData) -> str:
    """Return the caption; `data` has at least one group of `groups_by_workload`."""
    groups = groups_by_workload(data)
    rows = pd.concat([group for _, group in groups])
    num_missed = int((~rows["reached"].astype(bool)).sum())
    cells, seeds = plural(len(rows), "cell"), plural(rows["seed"].nunique(), "seed")
    return (
        "Share of the seeds that reached the target within a number of steps, log scale, at the evaluations "
        f"(Kaplan-Meier estimate, which is the plain share if all budgets are equal). {cells}, {seeds}. "
        f"{plural(num_missed, 'cell')} missed the target and are censored: the estimate uses each up to its last step, "
        "which a vertical tick marks. A cell that diverged counts as a miss up to the end of the axis. A curve ends at "
        "the last step of its seeds." + truncation_note(len(groups), MAX_PANELS, "workloads")
    )


ATTAINMENT = FigureSpec("attainment", TITLE, caption_attainment, draw_attainment)
