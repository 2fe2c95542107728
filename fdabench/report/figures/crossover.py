"""A figure: the fastest strategy for each bandwidth and latency of the workers' links."""

from collections.abc import Mapping, Set
from itertools import cycle

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
from fdabench.formatting import plural
from fdabench.report.figures.canvas import SMALL, LegendEntry, PlotArguments, legend, panel_title, panels
from fdabench.report.figures.plot import FigureSpec, truncation_note
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
# half of the size of a name, in grid points of the map: columns for each letter, and rows
_COLUMNS, _ROWS = 1.15, 4
EDGE = "#555555"
_TIE_COLOR = (1.0, 1.0, 1.0, 0.75)
_HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---", "ooo", "|||")
_SPEEDS = {1e6: "1 Mbit/s", 1e7: "10 Mbit/s", 1e8: "100 Mbit/s", 1e9: "1 Gbit/s", 1e10: "10 Gbit/s", 1e11: "100 Gbit/s"}
_TIMES = {1e-6: "1 µs", 1e-5: "10 µs", 1e-4: "0.1 ms", 1e-3: "1 ms", 1e-2: "10 ms", 1e-1: "0.1 s"}

Region = npt.NDArray[np.bool_]
RegionFill = tuple[str, str]
"""A color and a hatch."""


def draw_crossover(data: ReportData) -> Figure | None:
    """Draw one map for each workload on which at least two strategies reached the target; None if there is none."""
    volumes = data.volumes
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
        tie = Patch(facecolor=_TIE_COLOR, edgecolor=EDGE, linestyle="--", linewidth=0.7)
        keys.append((tie, f"the second is within {100 * TIE:.0f} % of the fastest"))
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
    is_free = ~_occupied(points)
    for region, (color, hatch) in regions.values():
        area = axes.contourf(BANDWIDTHS, LATENCIES, region, levels=[0.5, 1.5], colors=[color], hatches=[hatch])
        area.set(edgecolor=EDGE, linewidth=0.7)
    close = ties(group)
    if close.any():
        border = axes.contourf(BANDWIDTHS, LATENCIES, close, levels=[0.5, 1.5], colors=[_TIE_COLOR])
        border.set(edgecolor=EDGE, linewidth=0.7, linestyle="--")
    for label, (region, _) in regions.items():
        _label(axes, region & is_free & ~close, label)
    _dots(axes, points)
    _named_ticks(axes.yaxis, _TIMES)
    bandwidth_axis(axes)
    axes.set_ylabel(f"latency, one way (to {group['target_name'].iloc[0]})")


def _label(axes: Axes, is_free: Region, label: str) -> None:
    """Write the label of a strategy into its region, as far from the border as possible.

    It is omitted where it fits nowhere, because the legend contains it too.

    Args:
        axes: the panel.
        is_free: a mask of the region without the places that other text covers, shape [latency, bandwidth].
        label: the text.
    """
    box = (2 * _ROWS + 1, 2 * int(_COLUMNS * len(label)) + 1)
    fits = ndimage.minimum_filter(is_free, box, mode="constant")
    if fits.any():
        distance = ndimage.distance_transform_edt(fits)
        row, column = np.unravel_index(int(np.argmax(distance)), fits.shape)
        text = axes.text(BANDWIDTHS[column], LATENCIES[row], label, ha="center", va="center", fontsize=SMALL)
        text.set_bbox({"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 1})


def region_fills(data: ReportData, winners: Set[str]) -> dict[str, RegionFill]:
    """The color and the hatch of each winner's region.

    Colors are pale, so that text on them is legible. Hatches distinguish the regions, because pale colors are similar.
    """
    labels = [label for label in data.labels if label in winners]
    return {
        label: (blend(data.styles[label].color, "white", 0.6), hatch)
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
    total = data.volumes.groupby(WORKLOAD).ngroups
    seeds = data.volumes.groupby([*WORKLOAD, "label"]).size().max()
    return (
        "The strategy with the shortest modeled time to the workload's target, of those that reached it, if each "
        "worker has a link of its own. Dots are the named networks; of a shared channel, each worker has an equal "
        "share of the bandwidth. Of each strategy, the seed with the median number of bytes, of at most "
        f"{plural(int(seeds), 'seed')}. In the pale band the second strategy is within {100 * TIE:.0f} % of the "
        "fastest, so the border is not exact. Compute time and model as in the table of times. "
        f"Accounting: {data.conventions}." + truncation_note(total, MOST_WORKLOADS, "workloads")
    )


CROSSOVER = FigureSpec("crossover", TITLE, caption_crossover, draw_crossover)
