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


def _draw(data: ReportData, syncs: pd.DataFrame, title: str, panel: Callable[[Axes, pd.DataFrame], None],
          column: str) -> Figure | None:  # fmt: skip
    """Draw one panel for each workload, with a line for the lowest seed of each strategy; None without syncs."""
    workloads = list(dict.fromkeys(zip(syncs["suite"], syncs["workload"], strict=True)))[:MAX_PANELS]
    if not workloads:
        return None
    figure, axes = panels(len(workloads), title, 3.6, 2.6, columns=2)
    for axis, workload in zip(axes, workloads, strict=True):
        here = syncs[(syncs["suite"] == workload[0]) & (syncs["workload"] == workload[1])]
        for label, of_label in here.groupby("label", sort=False):
            style, of_seed = (
                data.styles[str(label)],
                of_label[of_label["seed"] == of_label["seed"].min()].sort_values("step"),
            )
            with tag_artists(axis, str(label)):
                every = max(1, len(of_seed) // 6)
                axis.plot(of_seed["step"], of_seed[column], color=style.color, linestyle=style.dashes, markevery=every,
                          **marker(style, 4))  # fmt: skip
        panel(axis, here)
        axis.set_xlabel("local steps of each worker")
        axis.grid(visible=True)
        panel_title(axis, data, workload)
    present = set(syncs["label"])
    legend(figure, line_keys({label: data.styles[label] for label in data.labels if label in present}))
    return figure


def draw_theta(data: ReportData) -> Figure | None:
    """Draw theta at each sync; None if no strategy changes it."""

    def panel(axes: Axes, syncs: pd.DataFrame) -> None:
        number_axis(axes.yaxis, log_limits(syncs["theta"]))
        axes.set_ylabel("theta (log scale)")

    return _draw(data, adaptive_thetas(data), THETA_TITLE, panel, "theta")


def draw_residuals(data: ReportData) -> Figure | None:
    """Draw the share of its message that a worker keeps; None if no strategy has error feedback."""

    def panel(axes: Axes, syncs: pd.DataFrame) -> None:
        axes.set_ylim(0, max(1.0, 1.05 * float(syncs["residual"].max())))
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
        axes.set_ylabel("‖residual‖ / ‖message‖")

    return _draw(data, residuals(data), RESIDUAL_TITLE, panel, "residual")


def caption_theta(data: ReportData) -> str:
    return (
        "The threshold that the estimate was compared with at each sync, of strategies that adapt it; the lowest seed. "
        f"{sample_note(data)}." + _truncation(adaptive_thetas(data))
    )


def caption_residuals(data: ReportData) -> str:
    return (
        "The norm of what a worker's message left out, divided by the norm of the drift and residual that it stands "
        "for, mean over the workers at each sync; the lowest seed. Near 0 the codec loses little; near 100 % almost "
        f"everything waits for later syncs. {sample_note(data)}." + _truncation(residuals(data))
    )


def _truncation(syncs: pd.DataFrame) -> str:
    return truncation_note(len(syncs.drop_duplicates(WORKLOAD)), MAX_PANELS, "workloads")


THETA = FigureSpec("theta", THETA_TITLE, caption_theta, draw_theta)
RESIDUALS = FigureSpec("residuals", RESIDUAL_TITLE, caption_residuals, draw_residuals)
