"""A figure: bytes to the target and final accuracy against the Dirichlet concentration alpha of the partition."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fdabench.analysis.data import ReportData
from fdabench.analysis.stats import geometric_mean
from fdabench.cell_config import ComponentConfig
from fdabench.formatting import format_component
from fdabench.report.figures.canvas import (
    byte_axis,
    faint_marker,
    legend,
    line_keys,
    log_limits,
    mark_lower_bound,
    marker,
    panels,
)
from fdabench.report.figures.error_scale import metric_axis
from fdabench.report.figures.plot import FigureSpec, sample_note, truncation_note
from fdabench.report.figures.tags import tag_artists
from fdabench.report.figures.wrapping import TITLE_LETTERS, wrap_label
from fdabench.style.plot_style import PlotStyle

TITLE = "Costs and final values against heterogeneity"
MOST_GROUPS = 4
_GROUP = ["suite", "except_partition_id"]


def groups_of(data: ReportData) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """Group the finished cells by suite and by all of the workload except alpha.

    Groups with a single alpha are left out. IID cells are in the group of each kind of partition, as infinite alpha.

    Returns:
        Pairs of (suite, title of the group) and the group's rows of `data.finished`.
    """
    runs = data.finished.dropna(subset="alpha")
    partitions = runs["cell_id"].map(lambda cell_id: _except_alpha(data.configs[cell_id].partition))
    groups = []
    for (suite, _), group in runs.groupby(_GROUP, sort=False):
        of_group, name = partitions[group.index], str(group["except_partition"].iloc[0])
        is_iid = np.isinf(group["alpha"])
        kinds = list(dict.fromkeys(of_group[~is_iid]))
        for kind in kinds:
            title = f"{name}, {kind}" if len(kinds) > 1 else name
            groups.append(((str(suite), title), group[(of_group == kind) | is_iid]))
    return [(key, group) for key, group in groups if group["alpha"].nunique() > 1]


def _except_alpha(partition: ComponentConfig) -> str:
    """The name of a partition without its alpha."""
    return format_component(partition.to_table(), exclude=("alpha",))


def draw_heterogeneity(data: ReportData) -> Figure | None:
    """Draw two panels, costs and accuracies, for each group of `groups_of`; None if there is none."""
    groups = groups_of(data)
    if not groups:
        return None
    drawn_groups = groups[:MOST_GROUPS]
    figure, axes = panels(2 * len(drawn_groups), TITLE, 3.5, 2.6, columns=2)
    for row, (key, runs) in enumerate(drawn_groups):
        places = _places(runs["alpha"])
        outcomes = data.at_suite_target[data.at_suite_target["cell_id"].isin(runs["cell_id"])]
        _costs(axes[2 * row], data, outcomes, places)
        _accuracies(axes[2 * row + 1], data, runs[runs["state"] != "diverged"], places)
        for panel in axes[2 * row : 2 * row + 2]:
            panel.set_title(wrap_label(data.workload_title(key[0], key[1]), TITLE_LETTERS))
            _alpha_axis(panel, places)
    present = set(pd.concat([runs["label"] for _, runs in drawn_groups]))
    legend(figure, line_keys({label: data.styles[label] for label in data.labels if label in present}))
    return figure


def _places(alphas: "pd.Series[float]") -> dict[float, float]:
    """The x coordinate of each alpha: evenly spaced, in increasing order, IID (infinity) last."""
    return {alpha: float(place) for place, alpha in enumerate(sorted(set(alphas)))}


def _alpha_axis(axes: Axes, places: dict[float, float]) -> None:
    names = ["IID" if np.isinf(alpha) else f"{alpha:g}" for alpha in places]
    axes.set_xticks(list(places.values()), names)
    axes.set_xlim(-0.4, len(places) - 0.6)
    axes.set_xlabel("Dirichlet α (left: each class at few workers)")
    axes.grid(visible=True, axis="y")


def _costs(axes: Axes, data: ReportData, outcomes: pd.DataFrame, places: dict[float, float]) -> None:
    if outcomes.empty:
        axes.text(0.5, 0.5, "no target was reached", transform=axes.transAxes, ha="center", color="#555555")
        axes.set_yticks([])
        return
    _lines(axes, data, outcomes.dropna(subset="cost_bytes"), "cost_bytes", places)
    byte_axis(axes.yaxis, log_limits(outcomes["cost_bytes"]))
    axes.set_ylabel(f"bytes of all workers to {outcomes['target_name'].iloc[0]}")


def _accuracies(axes: Axes, data: ReportData, runs: pd.DataFrame, places: dict[float, float]) -> None:
    _lines(axes, data, runs, "final_value", places)
    metric_axis(axes, data.metric, runs["final_value"].dropna(), ())
    axes.set_ylabel(f"final {axes.get_ylabel()}")


def _lines(axes: Axes, data: ReportData, frame: pd.DataFrame, column: str, places: dict[float, float]) -> None:
    """Draw a line through the means of each strategy, and points for single cells.

    An arrow upwards marks a mean that is a lower bound, because a cell missed the target. Strategies are shifted
    against each other so that their points do not overlap.
    """
    labels = list(dict.fromkeys(frame["label"]))
    for index, label in enumerate(labels):
        of_label, style = frame[frame["label"] == label], data.styles[label]
        shift = 0.5 * ((index + 0.5) / len(labels) - 0.5)
        with tag_artists(axes, label):
            _strategy(axes, of_label, column, of_label["alpha"].map(places) + shift, style)


def _strategy(axes: Axes, rows: pd.DataFrame, column: str, position: "pd.Series[float]", style: PlotStyle) -> None:
    axes.plot(position, rows[column].astype(float), **faint_marker(style, 3))
    by_place = rows[column].astype(float).groupby(position)
    means = by_place.agg(geometric_mean) if column == "cost_bytes" else by_place.mean()
    axes.plot(means.index, means, color=style.color, linestyle=style.dashes, **marker(style, 5))
    if "reached" not in rows:  # the panel of final values has no lower bounds
        return
    bounds = means[~rows["reached"].groupby(position).all()]
    for place, value in bounds.items():
        mark_lower_bound(axes, float(str(place)), float(value), style)


def caption_heterogeneity(data: ReportData) -> str:
    """Return the caption."""
    groups = groups_of(data)
    scale = "error on a log scale" if data.metric.name == "accuracy" else "log scale"
    return (
        "Left: bytes of all workers to the headline target, log scale, geometric mean over seeds; an arrow upwards "
        "marks a lower bound, because a seed missed the target and counts with the bytes that it spent. Right: "
        f"{data.metric.title} at the last evaluation, mean over seeds, {scale}. Small points: single cells. "
        f"Smaller α gives each class to fewer workers. {sample_note(data)}; partitions without an α are not shown."
        + truncation_note(len(groups), MOST_GROUPS, "groups")
    )


HETEROGENEITY = FigureSpec("heterogeneity", TITLE, caption_heterogeneity, draw_heterogeneity)
