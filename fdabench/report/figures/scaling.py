"""A figure: bytes and local steps to the target against the number of workers, as Figures 6 to 8 of the FDA paper."""

from collections.abc import Callable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from fdabench.analysis.data import ReportData
from fdabench.analysis.stats import geometric_mean
from fdabench.report.figures.canvas import (
    SMALL,
    Limits,
    byte_axis,
    faint_marker,
    legend,
    line_keys,
    log_limits,
    marker,
    panels,
    step_axis,
)
from fdabench.report.figures.plot import FigureSpec, sample_note, the_target, truncation_note
from fdabench.report.figures.wrapping import TITLE_LETTERS, wrap_label

TITLE = "Bytes and steps to the target against workers"
MOST_GROUPS, MOST_LINES = 3, 15


def groups_of(data: ReportData) -> list[tuple[str, pd.DataFrame]]:
    """Group the outcomes that reached a target by suite and by all of the workload except the number of workers.

    The target is the hardest one, up to the suite's headline, that was reached with at least two numbers of workers.
    Groups without such a target are left out.

    Returns:
        Pairs of the group's title, which names the target if it is not the headline, and its rows of `data.outcomes`.
    """
    hits = data.outcomes[data.outcomes["reached"].astype(bool)]
    groups = []
    for (suite, _), group in hits.groupby(["suite", "except_workers_id"], sort=False):
        headline = data.headlines[str(suite)].target
        metric = data.metric
        easier = metric.score(group["target"]) <= metric.score(headline)
        numbers = group[easier].groupby("target")["workers"].nunique()
        several = numbers.index[numbers > 1]
        if len(several):
            target = metric.best(map(float, several))
            format_target = metric.format_target
            note = "" if target == headline else f", to {format_target(target)} instead of {format_target(headline)}"
            name = f"{group['except_workers'].iloc[0]}{note}"
            groups.append((data.workload_title(suite, name), group[group["target"] == target]))
    return groups


def draw_scaling(data: ReportData) -> Figure | None:
    """Draw two panels, bytes and steps, for each group of `groups_of`; None if there is none."""
    groups = groups_of(data)[:MOST_GROUPS]
    if not groups:
        return None
    figure, axes = panels(2 * len(groups), TITLE, 3.5, 2.8, columns=2)
    present: set[str] = set()
    for row, (name, hits) in enumerate(groups):
        drawn_hits = _drawn_rows(hits)
        present |= set(drawn_hits["label"])
        for panel, column, unit, scale in (
            (axes[2 * row], "bytes_total", "bytes of all workers", byte_axis),
            (axes[2 * row + 1], "step", "local steps of each worker", step_axis),
        ):
            _lines(panel, data, drawn_hits, column, scale)
            panel.set_title(wrap_label(name, TITLE_LETTERS))
            panel.set_ylabel(f"{unit} to {hits['target_name'].iloc[0]}")
    legend(figure, line_keys({label: data.styles[label] for label in data.labels if label in present}))
    return figure


def _drawn_rows(hits: pd.DataFrame) -> pd.DataFrame:
    """The rows of the `MOST_LINES` strategies that reached the target with the most numbers of workers."""
    counts = hits.groupby("label", sort=False)["workers"].nunique().sort_values(ascending=False, kind="stable")
    return hits[hits["label"].isin(set(counts.index[:MOST_LINES]))]


def _lines(
    axes: Axes, data: ReportData, hits: pd.DataFrame, column: str, scale: Callable[[Axis, Limits], None]
) -> None:
    axes.set_xscale("log")
    for label, of_label in hits.groupby("label", sort=False):
        style = data.styles[str(label)]
        axes.plot(of_label["workers"].astype(int), of_label[column].astype(float), zorder=2, **faint_marker(style, 3))
        means = of_label[column].astype(float).groupby(of_label["workers"].astype(int)).agg(geometric_mean)
        axes.plot(means.index, means, color=style.color, linestyle=style.dashes, **marker(style, 5))
        for workers, cost in means.items():
            _hit_count(axes, data, of_label[of_label["workers"] == workers], float(str(workers)), float(cost))
    numbers = sorted(set(hits["workers"].astype(int)))
    axes.xaxis.set_major_locator(FixedLocator(numbers))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("workers K")
    scale(axes.yaxis, log_limits(hits[column].astype(float)))
    axes.grid(visible=True)


def _hit_count(axes: Axes, data: ReportData, hits: pd.DataFrame, workers: float, cost: float) -> None:
    """Write n/N beside a point if only n of N seeds reached the target."""
    first = hits.iloc[0]
    rows = data.outcomes
    same_workload = (rows["suite"] == first["suite"]) & rows["workload"].isin(set(hits["workload"]))
    cells = int((same_workload & (rows["label"] == first["label"]) & (rows["target"] == first["target"])).sum())
    if len(hits) < cells:
        words = f"{len(hits)}/{cells}"
        axes.annotate(words, (workers, cost), xytext=(6, 4), textcoords="offset points", fontsize=SMALL)


def caption_scaling(data: ReportData) -> str:
    """Return the caption."""
    groups = groups_of(data)
    num_left_out = sum(len(hits) - len(_drawn_rows(hits)) for _, hits in groups[:MOST_GROUPS])
    left_out = (
        f" {num_left_out} cells of strategies with fewer numbers of workers are not drawn." if num_left_out else ""
    )
    return (
        "Lines: geometric means over the seeds that reached "
        f"{the_target(data)}; "
        "faint: one cell each; n/N: n of N seeds reached it, if some missed it. A strategy without a point at a "
        "number of workers missed the target with it. Both axes have a log scale. "
        f"{sample_note(data)}.{left_out}" + truncation_note(len(groups), MOST_GROUPS, "groups")
    )


SCALING = FigureSpec("scaling", TITLE, caption_scaling, draw_scaling)
