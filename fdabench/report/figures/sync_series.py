"""Figures of what syncs record over local steps: an adaptive theta, and the residuals of error feedback."""

from collections.abc import Callable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.report.figures.canvas import (
    MAX_PANELS,
    legend,
    line_keys,
    log_limits,
    marker,
    number_axis,
    panel_title,
    panels,
)
from fdabench.report.figures.plot import FigureSpec, sample_note, truncation_note
from fdabench.report.figures.tags import tag_artists

THETA_TITLE = "Theta over time"
RESIDUAL_TITLE = "Residuals of error feedback"


def adaptive_thetas(data: ReportData) -> pd.DataFrame:
    """Return the syncs of cells whose theta changes. A theta of 0, as in the first round of FDA-Opt, is left out."""
    positive = data.rounds[data.rounds["theta"] > 0]
    changes = positive.groupby("cell_id")["theta"].transform("nunique") > 1
    return positive[changes]


def residuals(data: ReportData) -> pd.DataFrame:
    """Return the syncs of cells with error feedback."""
    return data.rounds.dropna(subset="residual")


def _draw(data: ReportData, syncs: pd.DataFrame, title: str, format_y: Callable[[Axes, pd.DataFrame], None],
          column: str) -> Figure | None:  # fmt: skip
    """Draw one panel for each workload, with a line for the lowest seed of each strategy; None without syncs.

    Args:
        data: the results.
        syncs: the rows of `data.rounds` to draw.
        title: of the figure.
        format_y: sets the scale and the label of the y axis of a panel, for the rows of its workload.
        column: the column of the y axis.
    """
    workloads = list(dict.fromkeys(zip(syncs["suite"], syncs["workload"], strict=True)))[:MAX_PANELS]
    if not workloads:
        return None
    figure, axes = panels(len(workloads), title, 3.6, 2.6, columns=2)
    for axis, workload in zip(axes, workloads, strict=True):
        of_workload = syncs[(syncs["suite"] == workload[0]) & (syncs["workload"] == workload[1])]
        for label, of_label in of_workload.groupby("label", sort=False):
            style = data.styles[str(label)]
            of_seed = of_label[of_label["seed"] == of_label["seed"].min()].sort_values("step")
            with tag_artists(axis, str(label)):
                every = max(1, len(of_seed) // 6)
                axis.plot(of_seed["step"], of_seed[column], color=style.color, linestyle=style.dashes, markevery=every,
                          **marker(style, 4))  # fmt: skip
        format_y(axis, of_workload)
        axis.set_xlabel("local steps of each worker")
        axis.grid(visible=True)
        panel_title(axis, data, workload)
    present = set(syncs["label"])
    legend(figure, line_keys({label: data.styles[label] for label in data.labels if label in present}))
    return figure


def draw_theta(data: ReportData) -> Figure | None:
    """Draw theta at each sync; None if no strategy changes it."""

    def format_y(axes: Axes, syncs: pd.DataFrame) -> None:
        number_axis(axes.yaxis, log_limits(syncs["theta"]))
        axes.set_ylabel("theta (log scale)")

    return _draw(data, adaptive_thetas(data), THETA_TITLE, format_y, "theta")


def draw_residuals(data: ReportData) -> Figure | None:
    """Draw the norm of the residual relative to that of the message; None if no strategy has error feedback."""

    def format_y(axes: Axes, syncs: pd.DataFrame) -> None:
        axes.set_ylim(0, max(1.0, 1.05 * float(syncs["residual"].max())))
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
        axes.set_ylabel("‖residual‖ / ‖message‖")

    return _draw(data, residuals(data), RESIDUAL_TITLE, format_y, "residual")


def caption_theta(data: ReportData) -> str:
    """Return the caption of the figure of theta."""
    return (
        "The threshold with which the monitor's estimate was compared at each sync, for strategies that adapt it; the "
        "lowest seed. "
        f"{sample_note(data)}." + _truncation(adaptive_thetas(data))
    )


def caption_residuals(data: ReportData) -> str:
    """Return the caption of the figure of residuals."""
    return (
        "The norm of the residual, which a worker's message leaves out, divided by the norm of the vector that the "
        "worker encodes (drift plus earlier residual), mean over the workers at each sync; the lowest seed. Near 0 the "
        "codec loses little; near 100 % the worker keeps almost the whole vector for later syncs. "
        f"{sample_note(data)}." + _truncation(residuals(data))
    )


def _truncation(syncs: pd.DataFrame) -> str:
    return truncation_note(len(syncs.drop_duplicates(WORKLOAD)), MAX_PANELS, "workloads")


THETA = FigureSpec("theta", THETA_TITLE, caption_theta, draw_theta)
RESIDUALS = FigureSpec("residuals", RESIDUAL_TITLE, caption_residuals, draw_residuals)
