"""A figure: the length of rounds against the learning rate, with the slopes that two rules predict."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.report.figures.canvas import (
    GREY,
    MAX_PANELS,
    LegendEntry,
    faint_marker,
    legend,
    line_keys,
    log_limits,
    number_axis,
    panel_title,
    panels,
    step_axis,
)
from fdabench.report.figures.plot import FigureSpec, sample_note, truncation_note
from fdabench.report.figures.tags import tag_artists
from fdabench.report.tables.round_length import fitted_rounds
from fdabench.report.tables.round_length_fit import RoundLengthFit, fit_round_length, mean_round_lengths
from fdabench.style.plot_style import PlotStyle

TITLE = "Round length against learning rate"
PREDICTED: Mapping[int, Literal["--", ":"]] = {-2: "--", -1: ":"}
"""Slopes that rules predict, and how their lines are drawn."""


def panels_of(data: ReportData) -> dict[tuple[str, str], dict[str, pd.DataFrame]]:
    """Return the rounds of each strategy to which a line can be fitted, by workload and label.

    Strategies whose rounds all have the same length are left out.
    """
    by_workload: dict[tuple[str, str], dict[str, pd.DataFrame]] = {}
    for (suite, workload, label), of_label in fitted_rounds(data).groupby([*WORKLOAD, "label"], sort=False):
        if of_label["steps"].nunique() > 1 and np.isfinite(fit_round_length(of_label).slope):
            by_workload.setdefault((str(suite), str(workload)), {})[str(label)] = of_label
    return by_workload


def draw_round_length(data: ReportData) -> Figure | None:
    """Draw one panel for each workload; None if no line can be fitted."""
    drawn_panels = dict(list(panels_of(data).items())[:MAX_PANELS])
    if not drawn_panels:
        return None
    figure, axes = panels(len(drawn_panels), TITLE, 3.6, 3.0, columns=2)
    for panel, (workload, rounds) in zip(axes, drawn_panels.items(), strict=True):
        _panel(panel, data, rounds)
        panel_title(panel, data, workload)
    present = {label for rounds in drawn_panels.values() for label in rounds}
    guides: list[LegendEntry] = [
        (Line2D([], [], color=GREY, linestyle=dashes, linewidth=1), f"slope −{-slope}")
        for slope, dashes in PREDICTED.items()
    ]
    legend(figure, [*line_keys({label: data.styles[label] for label in data.labels if label in present}), *guides])
    return figure


def _panel(axes: Axes, data: ReportData, rounds: dict[str, pd.DataFrame]) -> None:
    points = {label: mean_round_lengths(of_label) for label, of_label in rounds.items()}
    all_points = pd.concat(points.values())
    for label, of_label in points.items():
        with tag_artists(axes, label):
            _strategy(axes, of_label, fit_round_length(rounds[label]), data.styles[label])
    _guides(axes, all_points)
    number_axis(axes.xaxis, log_limits(all_points["lr"]))
    step_axis(axes.yaxis, log_limits(all_points["steps"]))
    axes.set_xlabel("learning rate")
    axes.set_ylabel("local steps of a round")
    axes.grid(visible=True)


def _strategy(axes: Axes, points: pd.DataFrame, fit: RoundLengthFit, style: PlotStyle) -> None:
    axes.plot(points["lr"], points["steps"], **faint_marker(style, 4.5))
    line = np.exp(fit.intercept) * points["lr"] ** fit.slope
    axes.plot(points["lr"], line, color=style.color, linestyle=style.dashes)


def _guides(axes: Axes, points: pd.DataFrame) -> None:
    """Draw lines of the predicted slopes through the geometric mean of all points."""
    lrs = np.array([points["lr"].min(), points["lr"].max()])
    lr, steps = np.exp(np.log(points[["lr", "steps"]]).mean())
    for slope, dashes in PREDICTED.items():
        axes.plot(lrs, steps * (lrs / lr) ** slope, color=GREY, linestyle=dashes, linewidth=1, scalex=False)


def caption_round_length(data: ReportData) -> str:
    """Return the caption."""
    return (
        "Points: the mean length of the rounds in each of at most eight intervals of learning rates, all seeds "
        "together, from the second quarter of the run on. Lines: least squares; the table of the same name has the "
        "slopes with their intervals. Gray: the slope −2 of the quadratic synchronization rule, which a fixed theta "
        "gives if the models diverge because of mini-batch noise, and −1, which it gives if they diverge because the "
        f"workers' data differ. Both axes have a log scale. {sample_note(data)}; strategies whose round length or "
        "learning rate is constant are not shown." + truncation_note(len(panels_of(data)), MAX_PANELS, "workloads")
    )


ROUND_LENGTH = FigureSpec("round-length", TITLE, caption_round_length, draw_round_length)
