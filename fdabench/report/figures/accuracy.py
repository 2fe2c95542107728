"""Two figures: the metric on the test set against the bytes sent, and against local steps.

`PLOTS` has those of the accuracy; `for_metric` replaces them for suites with another metric.
"""

from collections.abc import Sequence
from functools import partial
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.formatting import join_first
from fdabench.metrics import ACCURACY, Metric
from fdabench.report.figures.canvas import (
    MAX_PANELS,
    byte_axis,
    legend,
    line_keys,
    log_limits,
    marker,
    panel_title,
    panels,
    step_axis,
    target_lines,
)
from fdabench.report.figures.error_scale import metric_axis, scale_words, worst_shown_value
from fdabench.report.figures.plot import FigureSpec, sample_note, truncation_note
from fdabench.report.figures.tags import tag_artists
from fdabench.style.plot_style import PlotStyle

BAND_SEEDS = 2
"""The least number of seeds that did not diverge for which a strategy gets a mean and a band."""
_LETTERS = 40
"""The number of letters in a line of the text below a panel."""
_X_LABEL = {"bytes_total": "bytes sent by all workers", "step": "local steps of each worker"}
_AGAINST = {"bytes_total": "bytes sent", "step": "local steps"}


def draw_metric(data: ReportData, x: str) -> Figure | None:
    """Draw one panel for each workload, with one line for each strategy.

    Args:
        data: the results.
        x: the column of the x axis, `"bytes_total"` or `"step"`.

    Returns:
        The figure; None if no evaluation has a positive x.
    """
    evals = data.evals[data.evals[x] > 0]  # the x axis is logarithmic
    evals = evals.assign(test_value=data.metric.of(evals, "test"))
    if evals.empty:
        return None
    with_evaluations = [
        pair for pair in data.workloads if ((evals["suite"] == pair[0]) & (evals["workload"] == pair[1])).any()
    ]
    figure, axes = panels(min(len(with_evaluations), MAX_PANELS), _title(data.metric, x), 3.1, 2.5)
    of_workload = dict(list(evals.groupby(WORKLOAD)))
    for panel, pair in zip(axes, with_evaluations, strict=False):
        _panel(panel, data, of_workload[pair], x)
        panel_title(panel, data, pair)
    legend(figure, line_keys({label: data.styles[label] for label in data.labels if (evals["label"] == label).any()}))
    return figure


def _title(metric: Metric, x: str) -> str:
    return f"Test {metric.title} against {_AGAINST[x]}"


def _panel(axes: Axes, data: ReportData, evals: pd.DataFrame, x: str) -> None:
    for index, (label, of_label) in enumerate(evals.groupby("label", sort=False)):
        with tag_artists(axes, str(label)):
            _strategy(axes, of_label, x, data.styles[str(label)], index)
    targets = list(data.locks[evals["suite"].iloc[0]].targets)
    target_lines(axes, targets)
    (byte_axis if x == "bytes_total" else step_axis)(axes.xaxis, log_limits(evals[x]))
    values, worse = values_in_range(evals, targets, data.metric)
    metric_axis(axes, data.metric, values, targets)
    axes.set_xlabel("\n".join([_X_LABEL[x], *_out_of_range(worse, data.metric.worse_side)]))
    axes.grid(visible=True)


def values_in_range(
    evals: pd.DataFrame, targets: Sequence[float], metric: Metric
) -> tuple["pd.Series[float]", list[str]]:
    """Select what a panel shows.

    Args:
        evals: the evaluations of one workload.
        targets: values of the metric.
        metric: of the evaluations.

    Returns:
        The values within the panel's range, and the labels of the strategies whose values are all worse.
    """
    values = evals["test_value"].dropna()
    if values.empty:
        return pd.Series([0.0 if metric.higher_is_better else 1.0]), []
    last = evals.dropna(subset="test_value").sort_values("step").groupby("cell_id").tail(1)
    floor = metric.score(worst_shown_value(values, last.groupby("label")["test_value"].mean(), targets, metric))
    best = metric.score(evals["test_value"]).groupby(evals["label"], sort=False).max()
    return values[metric.score(values) >= floor], [str(label) for label in best.index[best < floor]]


def _out_of_range(labels: Sequence[str], side: str) -> list[str]:
    return [fill(f"always {side} this axis: {join_first(labels, 3)}", _LETTERS)] if labels else []


def _strategy(axes: Axes, rows: pd.DataFrame, x: str, style: PlotStyle, index: int) -> None:
    """Draw one strategy.

    If at least `BAND_SEEDS` seeds did not diverge, a line shows their mean and a band their range, over the steps at
    which all of them were evaluated. Thin lines show diverged seeds, and seeds that continue beyond these steps.
    """
    not_diverged = rows[rows["state"] != "diverged"]
    seeds = not_diverged["cell_id"].nunique()
    over_seeds = _over_seeds(not_diverged, x, seeds) if seeds >= BAND_SEEDS else None
    last_common_step = -1
    if over_seeds is not None and len(over_seeds):
        last_common_step = over_seeds.index.max()
        _band(axes, over_seeds, style, index)
        _line(axes, over_seeds["x"], over_seeds["mean"], style, index)
    single = rows.loc[(rows["state"] == "diverged") | (rows["step"] > last_common_step), "cell_id"].unique()
    for _, cell in rows[rows["cell_id"].isin(single)].groupby("cell_id", sort=False):
        diverged = bool((cell["state"] == "diverged").any())
        drawn_evals = cell if diverged else cell[cell["step"] >= last_common_step]
        _thin_line(axes, drawn_evals, x, style, with_markers=over_seeds is None)
        if diverged:
            axes.plot(
                cell[x].iloc[-1],
                cell["test_value"].iloc[-1],
                "x",
                color=style.color,
                markersize=6,
                zorder=5,
                clip_on=False,
            )


def _over_seeds(evals: pd.DataFrame, x: str, seeds: int) -> pd.DataFrame:
    """The mean and the range over seeds, for the steps at which every seed was evaluated.

    Other steps are left out, because the mean over the seeds that reach a late step would be biased.

    Args:
        evals: the evaluations of the seeds that did not diverge.
        x: the column of the x axis; its geometric mean over seeds is used.
        seeds: the number of these seeds.
    """
    steps = evals.assign(log_x=np.log(evals[x].astype(float))).groupby("step")
    frame = pd.DataFrame(
        {
            "x": np.exp(steps["log_x"].mean()),
            "mean": steps["test_value"].mean(),
            "low": steps["test_value"].min(),
            "high": steps["test_value"].max(),
        }
    )
    return frame[steps.size() == seeds]


def _band(axes: Axes, over_seeds: pd.DataFrame, style: PlotStyle, index: int) -> None:
    """Draw the range over seeds: an area whose edges have the dashes of the line, and a bar through each marker.

    A bar belongs to its marker, so the bands of two strategies differ by more than their color.
    """
    low, high = over_seeds["low"], over_seeds["high"]
    axes.fill_between(
        over_seeds["x"], low, high, color=to_rgba(style.color, 0.18), edgecolor=style.color, linestyle=style.dashes,
        linewidth=0.5,
    )  # fmt: skip
    first, every = _marked(len(over_seeds), index)
    marked = over_seeds.iloc[first::every]
    # one line with gaps
    heights = np.column_stack([marked["low"], marked["high"], np.full(len(marked), np.nan)]).ravel()
    axes.plot(np.repeat(marked["x"], 3), heights, color=style.color, linewidth=1.0, zorder=3)


def _marked(points: int, index: int) -> tuple[int, int]:
    """The first point of a line that has a marker, and the distance to the next one.

    Strategies have markers at different evaluations, so that overlapping lines can be distinguished.
    """
    every = _every(points)
    return index % every, every


def _line(axes: Axes, xs: "pd.Series[float]", ys: "pd.Series[float]", style: PlotStyle, index: int) -> None:
    """Draw a mean."""
    axes.plot(
        xs, ys, color=style.color, linestyle=style.dashes, markevery=_marked(len(xs), index), zorder=3,
        **marker(style, 4.5),
    )  # fmt: skip


def _thin_line(axes: Axes, cell: pd.DataFrame, x: str, style: PlotStyle, *, with_markers: bool) -> None:
    marks = {**marker(style, 3.5), "markevery": _every(len(cell))} if with_markers else {}
    axes.plot(
        cell[x],
        cell["test_value"],
        color=style.color,
        linestyle=style.dashes,
        linewidth=0.7,
        zorder=2,
        **marks,
    )


def _every(points: int) -> int:
    """The number of points for each marker, so that a line has about six markers."""
    return max(1, points // 6)


def caption_metric(data: ReportData, x: str) -> str:
    """Return the caption of the figure against column `x`, as in `draw_metric`."""
    metric = data.metric
    targets = sorted({target for lock in data.locks.values() for target in lock.targets})
    names = join_first([metric.format_target(target) for target in targets])
    lines = f" Dotted: target{'s' * (len(targets) != 1)} {names}." if targets else ""
    across = " (bytes: geometric mean over them)" if x == "bytes_total" else ""
    title = metric.title.capitalize()
    return (
        f"{title} of the mean of the workers' models on the test set against {_X_LABEL[x]}, log scale. "
        f"{sample_note(data)}. Line: mean over seeds{across}; band and bars: lowest to highest seed, over the "
        "steps at which every seed was evaluated. Thin lines: single seeds, if there are fewer than "
        f"{BAND_SEEDS} or after the last step that all seeds have; ✕: diverged.{lines} {scale_words(metric)} "
        f"the last value that three quarters of the strategies reach; values {metric.worse_side} it are not shown."
        + truncation_note(len(data.workloads), MAX_PANELS, "workloads")
    )


def _figure(metric: Metric, x: str) -> FigureSpec:
    name = f"{metric.name.replace('_', '-')}-{'bytes' if x == 'bytes_total' else 'steps'}"
    return FigureSpec(name, _title(metric, x), partial(caption_metric, x=x), partial(draw_metric, x=x))


BYTES, STEPS = _figure(ACCURACY, "bytes_total"), _figure(ACCURACY, "step")


def for_metric(plots: Sequence[FigureSpec], metric: Metric) -> list[FigureSpec]:
    """Return the figures with those of the accuracy replaced by the ones of another metric."""
    replacements = {BYTES.name: _figure(metric, "bytes_total"), STEPS.name: _figure(metric, "step")}
    return [replacements.get(plot.name, plot) for plot in plots]
