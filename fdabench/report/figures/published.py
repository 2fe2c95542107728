"""A figure: bytes against local steps to the target, measured and as published by the authors of the FDA paper.

Each strategy has a cloud of points, as in the figures of the paper, and the published median with its range.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fdabench.analysis.data import ReportData
from fdabench.analysis.published import counterparts, matching, measure_cell
from fdabench.formatting import DASH, format_target, plural
from fdabench.published.results import GRIDS, IID, KINDS, PARTITIONS, PublishedResult, Quantity, published
from fdabench.published.results import PublishedSetting as Setting
from fdabench.report.figures.canvas import (
    GREY,
    LARGE,
    MAX_PANELS,
    LegendEntry,
    PlotArguments,
    byte_axis,
    faint_marker,
    large_marker,
    legend,
    log_limits,
    marker,
    marker_keys,
    panels,
    shifted,
    shifts_of,
    step_axis,
)
from fdabench.report.figures.plot import FigureSpec, truncation_note
from fdabench.style.plot_style import ColorMarker, PlotStyle, assign_styles

TITLE = "Bytes against steps to the target, published and measured"
Panel = tuple[str, str, float]
"""Model, partition and target. `"IID"` is either kind of IID partition."""
_PANEL = (160.0, 150.0)
"""The width and the height of a panel's data area, in points."""


class PointCloud(NamedTuple):
    """The points of one strategy in one panel.

    Args:
        strategy: its name in the paper.
        cells: a row for each cell that reached the target, with the columns `bytes` and `steps`.
        facts: the published results, by quantity.
    """

    strategy: str
    cells: pd.DataFrame
    facts: dict[Quantity, PublishedResult]


def point_clouds(data: ReportData) -> dict[Panel, list[PointCloud]]:
    """The point clouds of each panel, without panels and clouds that have no hits.

    Panels and clouds have the order of the paper's tables: models, IID before the other partitions, increasing targets.
    """
    cells = counterparts(data)
    clouds: dict[Panel, list[PointCloud]] = {}
    for axes, facts in _settings():
        # most suites replicate none of the settings, and converting an empty table takes pandas milliseconds
        if (matched := matching(axes, cells)).empty:
            continue
        rows = [measure_cell(axes, cell, data) for cell in matched.to_dict("records")]
        hits = pd.DataFrame([row for row in rows if row is not None and math.isfinite(row["steps"])])
        if len(hits) and axes.target is not None:
            key = (axes.model, "IID" if axes.partition in IID else axes.partition, axes.target)
            clouds.setdefault(key, []).append(PointCloud(axes.strategy, hits, facts))
    strategies = list(KINDS)
    return {
        panel: sorted(clouds[panel], key=lambda cloud: strategies.index(cloud.strategy))
        for panel in sorted(clouds, key=_panel_order)
    }


def _panel_order(panel: Panel) -> tuple[int, int, float]:
    model, partition, target = panel
    return [*GRIDS].index(model), ["IID", *PARTITIONS.values()].index(partition), target


def _settings() -> Iterator[tuple[Setting, dict[Quantity, PublishedResult]]]:
    """Yield each setting of the paper with its published costs over the paper's grid of workers and thetas."""
    by_axes: dict[Setting, dict[Quantity, PublishedResult]] = {}
    for fact in published():
        if fact.over_grid:
            by_axes.setdefault(fact.axes, {})[fact.quantity] = fact
    yield from by_axes.items()


def draw_published(data: ReportData) -> Figure | None:
    """Draw one panel for each setting of `point_clouds`; None if there is none."""
    clouds = point_clouds(data)
    if not clouds:
        return None
    drawn_clouds = list(clouds.items())[:MAX_PANELS]
    styles = _assign_styles(clouds, data.color_markers)
    figure, axes = panels(len(drawn_clouds), TITLE, 3.1, 3.0)
    for panel, ((model, partition, target), group) in zip(axes, drawn_clouds, strict=True):
        _panel(panel, group, styles)
        panel.set_title(f"{GRIDS[model].dataset} {model}, {partition}")
        panel.set_xlabel(f"local steps to {format_target(target)}")
    legend(figure, [*marker_keys(styles), *_keys()])
    return figure


def _assign_styles(
    clouds: dict[Panel, list[PointCloud]], color_markers: Mapping[str, ColorMarker]
) -> dict[str, PlotStyle]:
    present = {cloud.strategy for group in clouds.values() for cloud in group}
    return assign_styles({name: name for name in KINDS if name in present}, color_markers)


def _panel(axes: Axes, group: list[PointCloud], styles: Mapping[str, PlotStyle]) -> None:
    step_limits, byte_limits = (log_limits([*_extent(group, quantity)]) for quantity in ("steps", "bytes"))
    medians = [(cloud.cells["steps"].median(), cloud.cells["bytes"].median()) for cloud in group]
    references = [(cloud.facts["steps"].value, cloud.facts["bytes"].value) for cloud in group]
    shifts = shifts_of([*medians, *references], step_limits, byte_limits, _PANEL)
    for cloud, median, shift in zip(group, medians, shifts[: len(group)], strict=True):
        style = styles[cloud.strategy]
        axes.plot(cloud.cells["steps"], cloud.cells["bytes"], zorder=2, **faint_marker(style, 3.5))
        large_marker(axes, median, shift, {**marker(style, LARGE), "zorder": 5})
    for cloud, reference, shift in zip(group, references, shifts[len(group) :], strict=True):
        if math.isfinite(reference[1]):
            _reference(axes, cloud.facts, shift, styles[cloud.strategy])
    step_axis(axes.xaxis, step_limits)
    byte_axis(axes.yaxis, byte_limits)
    axes.set_xlim(*step_limits)  # matplotlib's automatic limits ignore shifted markers
    axes.set_ylim(*byte_limits)
    axes.set_ylabel("bytes of all workers, paper accounting")
    axes.grid(visible=True)


def _reference(axes: Axes, facts: Mapping[Quantity, PublishedResult], shift: float, style: PlotStyle) -> None:
    """Draw a published median and the ranges of its steps and bytes."""
    steps, num_bytes = facts["steps"], facts["bytes"]
    line: PlotArguments = {"color": style.color, "linewidth": 0.8, "linestyle": ":", "zorder": 1}
    axes.hlines(num_bytes.value, steps.low, steps.high, **line)
    axes.vlines(steps.value, num_bytes.low, num_bytes.high, transform=shifted(axes, shift), **line)
    hollow: PlotArguments = {**marker(style, LARGE), "fillstyle": "none", "markeredgewidth": 1.2, "zorder": 4}
    large_marker(axes, (steps.value, num_bytes.value), shift, hollow)


def _extent(group: list[PointCloud], quantity: Quantity) -> Iterator[float]:
    """Yield all values on one axis, measured and published, for the limits of the axis."""
    for cloud in group:
        yield from cloud.cells[quantity]
        yield from (cloud.facts[quantity].low, cloud.facts[quantity].high)


def _keys() -> list[LegendEntry]:
    """The legend entries for the three kinds of markers, in grey because they apply to every strategy."""
    return [
        (Line2D([], [], **faint_marker(PlotStyle("", GREY, "o", "-", "full"), 3.5)), "one cell"),
        (Line2D([], [], color=GREY, marker="o", linestyle="", markersize=7), "median"),
        (
            Line2D([], [], color=GREY, marker="o", linestyle=":", markersize=7, fillstyle="none"),
            "published median",
        ),
    ]


def caption_published(data: ReportData) -> str:
    """Return the caption."""
    clouds = point_clouds(data)
    cells = counterparts(data)
    workers, thetas = (
        ", ".join(f"{value:g}" for value in sorted(set(cells[key].dropna()))) for key in ("workers", "theta")
    )
    differences = sorted(set(cells["differs"]) - {""})
    differs = f" Differences from the paper: {'; '.join(differences)}." if differences else ""
    return (
        "Bytes of all workers (paper accounting) against local steps of each worker until the first evaluation above "
        f"the target, log scales. Filled: {plural(len(cells), 'cell')} of this report with K {workers} and "
        f"θ {thetas or DASH}; those that missed the target are left out. Hollow: the median over all K and θ of the "
        "FDA paper, as its authors published it, also without misses; dotted lines reach from the lowest to the "
        "highest value. Large markers that would overlap are shifted sideways, and a thin line leads to the true "
        f"position.{differs}" + truncation_note(len(clouds), MAX_PANELS, "targets")
    )


PUBLISHED = FigureSpec("published", TITLE, caption_published, draw_published)
