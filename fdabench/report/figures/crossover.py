"""A figure: the fastest strategy for each bandwidth and latency of the workers' links."""

from collections.abc import Mapping, Set
from itertools import cycle
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scipy import ndimage

from fdabench.accounting.network_time import CommunicationVolume
from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.headline import labels_in_order
from fdabench.analysis.order import NOT_KEPT
from fdabench.formatting import plural
from fdabench.report.figures.canvas import SMALL, LegendEntry, PlotArguments, legend, panel_title, panels
from fdabench.report.figures.plot import FigureSpec, truncation_note
from fdabench.report.figures.wrapping import wrap_label
from fdabench.report.tables.times import networks_of
from fdabench.style.contrast import blend

TITLE = "Fastest strategy by bandwidth and latency"
MOST_WORKLOADS = 6
TIE = 0.1
"""Relative difference of two times below which their order is unclear, because each is the median of a few seeds."""
BANDWIDTHS = np.logspace(6, 11.5, 111)
"""In bit/s."""
LATENCIES = np.logspace(-6, -0.5, 111)
"""In seconds, one way."""
# names of networks with a smaller bandwidth, in bit/s, are on the right of their dots, the others on the left
_MIDDLE = 3e9
# half of the size of a name, in grid points of the map: columns for each letter, and rows for each line
_COLUMNS, _ROWS = 1.15, 4
# an arrow to a region ends at least this share of the greatest distance from its border
_INNER = 0.7
# letters in a line of a region's name: the second number is for narrow regions
_LETTERS = (22, 12)
EDGE = "#555555"
# the share of white in the color of a region, and in that of its ties
_PALE, _TIE_PALE = 0.5, 0.85
_HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---", "ooo", "|||")
_SPEEDS = {1e6: "1 Mbit/s", 1e7: "10 Mbit/s", 1e8: "100 Mbit/s", 1e9: "1 Gbit/s", 1e10: "10 Gbit/s", 1e11: "100 Gbit/s"}
_TIMES = {1e-6: "1 µs", 1e-5: "10 µs", 1e-4: "0.1 ms", 1e-3: "1 ms", 1e-2: "10 ms", 1e-1: "0.1 s"}

Region = npt.NDArray[np.bool_]
Place = tuple[int, int]
"""A row and a column of a map."""
RegionFill = tuple[str, str]
"""A color and a hatch."""


class MapGrid(NamedTuple):
    """The points of a map.

    Args:
        bandwidths: on the x axis, in bit/s.
        heights: on the y axis.
    """

    bandwidths: npt.NDArray[np.float64]
    heights: npt.NDArray[np.float64]


def draw_crossover(data: ReportData) -> Figure | None:
    """Draw one map for each workload on which at least two strategies reached the target; None if there is none."""
    volumes = data.kept_volumes
    several = [(pair, group) for pair, group in volumes.groupby(WORKLOAD, sort=False) if group["label"].nunique() > 1]
    if not several:
        return None
    drawn_groups = several[:MOST_WORKLOADS]
    figure, axes = panels(len(drawn_groups), TITLE, 4.5, 3.3, columns=2)
    maps = [fastest_regions(group) for _, group in drawn_groups]
    fills = region_fills(data, {label for regions in maps for label in regions})
    for panel, (pair, group), regions in zip(axes, drawn_groups, maps, strict=True):
        _panel(panel, data, group, {label: (region, fills[label]) for label, region in regions.items()})
        panel_title(panel, data, (str(pair[0]), str(pair[1])))
    keys: list[LegendEntry] = [(region_patch(fill), label) for label, fill in fills.items()]
    if any(ties(group).any() for _, group in drawn_groups):
        tie = Patch(facecolor="white", edgecolor=EDGE, linestyle="--", linewidth=0.7)
        keys.append((tie, f"faint: the second is within {100 * TIE:.0f} %"))
    legend(figure, keys)
    return figure


def fastest_regions(group: pd.DataFrame) -> dict[str, Region]:
    """The region in which each strategy is the fastest.

    Args:
        group: the volumes of the cells of one workload.

    Returns:
        A mask, shape [latency, bandwidth], by label; no entry for strategies that are never the fastest.
    """
    best = np.argmin(_seconds(group), axis=0)
    return {label: best == i for i, label in enumerate(labels_in_order(group)) if (best == i).any()}


def ties(group: pd.DataFrame) -> Region:
    """A mask, shape [latency, bandwidth]: whether the second strategy's time is within `TIE` of the fastest's.

    The border of two regions lies within it.
    """
    first, second = np.sort(_seconds(group), axis=0)[:2]
    close: Region = second <= (1 + TIE) * first
    return close


def _seconds(group: pd.DataFrame) -> npt.NDArray[np.float64]:
    """The modeled time to the target in seconds, shape [strategy, latency, bandwidth]."""
    times = []
    for label in labels_in_order(group):
        volume, step_s = median_volume(group[group["label"] == label])
        times.append(volume.seconds(BANDWIDTHS[None, :], LATENCIES[:, None], step_s))
    return np.stack(np.broadcast_arrays(*times))


def median_row(frame: pd.DataFrame) -> "pd.Series":
    """Return the row of the cell with the median number of bytes; argument as in `median_volume`."""
    row: pd.Series = frame.iloc[np.argsort([volume.wire_bytes for volume in frame["volume"]])[len(frame) // 2]]
    return row


def median_volume(frame: pd.DataFrame) -> tuple[CommunicationVolume, float]:
    """Return the communication of the cell with the median number of bytes, and the seconds of its local step.

    Args:
        frame: rows of `data.volumes`, one for each seed.
    """
    row = median_row(frame)
    return row["volume"], float(row["step_s"])


def _panel(axes: Axes, data: ReportData, group: pd.DataFrame, regions: Mapping[str, tuple[Region, RegionFill]]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    points = _network_points(data, group)
    grid = MapGrid(BANDWIDTHS, LATENCIES)
    draw_regions(axes, grid, regions, ties(group))
    label_regions(axes, grid, {label: region for label, (region, _) in regions.items()}, _occupied(points))
    _dots(axes, points)
    _named_ticks(axes.yaxis, _TIMES)
    bandwidth_axis(axes)
    axes.set_ylabel(f"latency, one way (to {group['target_name'].iloc[0]})")


def draw_regions(axes: Axes, grid: MapGrid, regions: Mapping[str, tuple[Region, RegionFill]], close: Region) -> None:
    """Fill the region of each strategy.

    The part where the second strategy is about as fast is faint. It keeps the hatch, so that narrow regions can be
    recognized. Borders of regions are solid lines, borders of these parts are dashed.

    Args:
        axes: the panel.
        grid: of the masks.
        regions: a mask, shape [height, bandwidth], and the fill of each strategy, by label.
        close: a mask of the parts that are faint.
    """
    for region, (color, hatch) in regions.values():
        for part, shade in ((region & ~close, color), (region & close, _tie_color(color))):
            if part.any():
                area = axes.contourf(*grid, part, levels=[0.5, 1.5], colors=[shade], hatches=[hatch or None])
                area.set(edgecolor=EDGE, linewidth=0.7, linestyle="--")
    for region, _ in regions.values():
        if not region.all():
            axes.contour(*grid, region, levels=[0.5], colors=[EDGE], linewidths=1.0)


def _tie_color(color: str) -> str:
    """The color of a region's ties: of `color`, which is mixed with `_PALE` white, a mix with `_TIE_PALE` white."""
    return blend(color, "white", 1 - (1 - _TIE_PALE) / (1 - _PALE))


def label_regions(axes: Axes, grid: MapGrid, regions: Mapping[str, Region], occupied: Region) -> None:
    """Write the label of each strategy into its region, as far from the border as possible.

    The label of a region that is too narrow is written beside it, with an arrow. A label that fits nowhere is omitted;
    the legend contains it too.

    Args:
        axes: the panel.
        grid: of the masks.
        regions: a mask by label, shape [height, bandwidth].
        occupied: a mask of the places that other text covers.
    """
    occupied = occupied.copy()
    narrow = []
    for label, region in regions.items():
        text, places = _first_fit(label, region & ~occupied)
        if places.any():
            row, column = np.unravel_index(int(np.argmax(ndimage.distance_transform_edt(places))), places.shape)
            _label(axes, grid, text, (int(row), int(column)), occupied)
        else:
            narrow.append(label)
    narrow_regions = np.any([regions[label] for label in narrow], axis=0) if narrow else occupied
    for label in narrow:
        # the second choice covers other narrow regions
        choices = [_first_fit(label, ~occupied & ~other) for other in (narrow_regions, regions[label])]
        text, places = next((choice for choice in choices if choice[1].any()), choices[0])
        if places.any():
            place, point = _nearest(places, regions[label])
            arrow = (float(grid.bandwidths[point[1]]), float(grid.heights[point[0]]))
            _label(axes, grid, text, place, occupied, arrow)


def _first_fit(label: str, is_free: Region) -> tuple[str, Region]:
    """The label in as few lines as fit, and a mask of the places around which it covers only free points."""
    texts = [wrap_label(label, letters) for letters in _LETTERS if max(map(len, label.split()), default=0) <= letters]
    fits = [(text, _places(is_free, text)) for text in texts or [wrap_label(label, max(_LETTERS))]]
    return next((fit for fit in fits if fit[1].any()), fits[0])


def _nearest(places: Region, region: Region) -> tuple[Place, Place]:
    """The place that is nearest to the inner part of a region, and the point of that part that is nearest to it."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    distance, points = ndimage.distance_transform_edt(depth < _INNER * depth.max(), return_indices=True)
    place = np.unravel_index(int(np.argmin(np.where(places, distance, np.inf))), places.shape)
    return (int(place[0]), int(place[1])), (int(points[0][place]), int(points[1][place]))


def _box(text: str) -> tuple[int, int]:
    """Half of the height and of the width of a label, in grid points."""
    lines = text.split("\n")
    return _ROWS * len(lines), int(_COLUMNS * max(map(len, lines)))


def _places(is_free: Region, text: str) -> Region:
    """A mask of the points around which the label covers only free points."""
    rows, columns = _box(text)
    places: Region = ndimage.minimum_filter(is_free, (2 * rows + 1, 2 * columns + 1), mode="constant")
    return places


def _label(
    axes: Axes,
    grid: MapGrid,
    text: str,
    place: Place,
    occupied: Region,
    arrow: tuple[float, float] | None = None,
) -> None:
    """Write a label at a row and a column, with an arrow to a point, and mark the points that it covers."""
    (row, column), (above, beside) = place, _box(text)
    occupied[max(0, row - above) : row + above + 1, max(0, column - beside) : column + beside + 1] = True
    box = {"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 1}
    options: PlotArguments = {"ha": "center", "va": "center", "fontsize": SMALL, "bbox": box, "zorder": 4}
    point = (float(grid.bandwidths[column]), float(grid.heights[row]))
    axes.text(*point, text, **options)
    if arrow is not None:
        line: PlotArguments = {"arrowstyle": "-|>", "mutation_scale": 6, "color": "black", "linewidth": 0.7}
        # below all labels, which it may cross
        axes.annotate("", arrow, xytext=point, arrowprops={**line, "shrinkA": 0, "shrinkB": 0}, zorder=2)


def region_fills(data: ReportData, winners: Set[str]) -> dict[str, RegionFill]:
    """The color and the hatch of each winner's region.

    Colors are pale, so that text on them is legible. Hatches distinguish the regions, because pale colors are similar.
    """
    labels = [label for label in data.labels if label in winners]
    return {
        label: (blend(data.styles[label].color, "white", _PALE), hatch)
        for label, hatch in zip(labels, cycle(_HATCHES), strict=False)
    }


def region_patch(fill: RegionFill) -> Patch:
    """The patch of a region in the legend."""
    color, hatch = fill
    return Patch(facecolor=color, hatch=hatch, edgecolor=EDGE, linewidth=0.7)


def _network_points(data: ReportData, group: pd.DataFrame) -> list[tuple[str, float, float]]:
    """The named networks within the ranges of the axes: name, bandwidth of each worker in bit/s, latency in s."""
    suite, workers = str(group["suite"].iloc[0]), int(group["workers"].iloc[0])
    points = [
        (name, network.per_worker(workers), max(network.latency, LATENCIES[0] * 1.5))
        for name, network in networks_of(data, suite).items()
    ]
    return [point for point in points if BANDWIDTHS[0] <= point[1] <= BANDWIDTHS[-1] and point[2] <= LATENCIES[-1]]


def bandwidth_axis(axes: Axes) -> None:
    """Label the x axis, which has the bandwidth of each worker's link on a log scale."""
    _named_ticks(axes.xaxis, _SPEEDS)
    axes.tick_params(axis="x", rotation=30)
    axes.set_xlabel("bandwidth of each worker's link")


def _named_ticks(axis: Axis, names: Mapping[float, str]) -> None:
    axis.set_major_locator(FixedLocator(list(names)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: names.get(float(f"{value:.0e}"), "")))
    axis.set_minor_locator(NullLocator())


def _dots(axes: Axes, points: list[tuple[str, float, float]]) -> None:
    for name, bandwidth, latency in points:
        axes.plot(bandwidth, latency, "o", color="black", markersize=3.5, markeredgecolor="white")
        left: PlotArguments = {"xytext": (-4, 10), "ha": "right"}
        right: PlotArguments = {"xytext": (4, 4), "ha": "left"}
        side = left if bandwidth > _MIDDLE else right
        text = axes.annotate(name, (bandwidth, latency), textcoords="offset points", fontsize=SMALL, **side)
        text.set_bbox({"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.5})


def _occupied(points: list[tuple[str, float, float]]) -> Region:
    """A mask of the places that names of networks cover, shape [latency, bandwidth]."""
    occupied = np.zeros((len(LATENCIES), len(BANDWIDTHS)), dtype=bool)
    for name, bandwidth, latency in points:
        row, column = int(np.searchsorted(LATENCIES, latency)), int(np.searchsorted(BANDWIDTHS, bandwidth))
        width = int(2 * _COLUMNS * len(name))
        first, last = (column - width, column + 3) if bandwidth > _MIDDLE else (column - 3, column + width)
        occupied[max(0, row - 3) : row + 3 * _ROWS, max(0, first) : last] = True
    return occupied


def caption_crossover(data: ReportData) -> str:
    """Return the caption."""
    volumes = data.kept_volumes
    total = volumes.groupby(WORKLOAD).ngroups
    seeds = volumes.groupby([*WORKLOAD, "label"]).size().max()
    return (
        "The strategy with the shortest modeled time to the workload's target, of those that reached and kept it, if "
        "each worker has a link of its own. Dots are the named networks; of a shared channel, each worker has an equal "
        "share of the bandwidth. Of each strategy, the seed with the median number of bytes, of at most "
        f"{plural(int(seeds), 'seed')}. Where a color is faint, the second strategy is within "
        f"{100 * TIE:.0f} % of the fastest, so the border is not exact. An arrow leads from a name to a narrow region. "
        "Compute time and model as in the table of times. "
        f"Accounting: {data.conventions}." + not_kept_note(data) + truncation_note(total, MOST_WORKLOADS, "workloads")
    )


def not_kept_note(data: ReportData) -> str:
    """Return the sentence of a caption on strategies that a map omits because they did not keep a target; or ""."""
    omitted = data.volumes.drop(data.kept_volumes.index)
    if omitted.empty:
        return ""
    groups = omitted.groupby("label", sort=False)
    names = [f"{label!s} ({plural(rows.groupby(WORKLOAD).ngroups, 'workload')})" for label, rows in groups]
    return f" Left out on workloads where {NOT_KEPT}: {', '.join(names)}."


CROSSOVER = FigureSpec("crossover", TITLE, caption_crossover, draw_crossover)
