"""Helpers for all figures: panels, legends, markers and logarithmic axes with units, and matplotlib's settings."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import dist
from textwrap import fill
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation, Transform

from fdabench.analysis.data import ReportData
from fdabench.formatting import format_bytes, format_count, format_significant
from fdabench.report.figures.tags import TITLE_TAG
from fdabench.report.figures.wrapping import HEAD_LETTERS, TITLE_LETTERS, wrap_label
from fdabench.style.contrast import readable_color
from fdabench.style.plot_style import PlotStyle

LegendEntry = tuple[Artist, str]
Limits = tuple[float, float]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, bottom, right and top."""

PlotArguments = dict[str, Any]
"""Keyword arguments or parameters of matplotlib, each of a type of its own."""
MAX_PANELS = 12
MOST_KEYS = 20
"""With more strategies, a legend has one entry for each family."""
# `panels` leaves space for this number of rows of a legend; each further row makes the figure higher
LEGEND_ROWS, ROW_INCHES = 3, 0.17
# for the width of a legend: a handle with its padding is as wide as KEY_LETTERS letters
LETTERS_PER_INCH, KEY_LETTERS = 12, 9
# the length of a handle in font sizes, and that of a line with dashes and a marker, where the marker hides the dashes
# in the middle; a further font size is as wide as EM_LETTERS letters
HANDLE_LENGTH, DASHED_LENGTH, EM_LETTERS = 2.0, 4.0, 1.5
SMALL = 7.5
"""The smallest font size, in points. The page of a report shows it as 12 pixels."""
BOUND = Path([(0, 0), (0, 1), (-0.25, 0.72), (0, 1), (0.25, 0.72)], [1, 2, 1, 2, 2])
"""A marker: a narrow arrow that points upwards from the data point."""
GREY = "#6E6E6E"
FAINT = 0.35
"""The opacity of the interior of markers of single cells."""
LARGE = 8
"""The size of large markers, in points."""
OVERLAP = 10.0
"""The distance in points below which large markers overlap, because some shapes are larger than others."""
_STEP = 2.0
# in points: the size of a letter of a note, and the space between a note and a marker
_LETTER, _LINE, _SPACE = 0.62 * SMALL, SMALL, 1.0
STYLE: PlotArguments = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": SMALL,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "figure.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "hatch.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "lines.markersize": 5,
    "svg.hashsalt": "fdabench",
    # text stays text instead of paths: it can be searched and copied, and screen readers can read it
    "svg.fonttype": "none",
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "text.hinting": "none",
    # text between two dollar signs in a label is not a formula
    "text.parse_math": False,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.06,
    "pdf.fonttype": 42,
}


def panels(
    number: int, title: str, width: float, height: float | Sequence[float], columns: int = 3
) -> tuple[Figure, list[Axes]]:
    """Create a figure with a grid of panels. Unused places of the last row stay empty.

    Args:
        number: of panels.
        title: of the figure.
        width: of a panel, in inches.
        height: of each row, in inches, or one value for all rows.
        columns: panels in a row, at most.

    Returns:
        The figure, and the panels from left to right and from top to bottom.
    """
    across = min(number, columns)
    heights = list(height) if isinstance(height, Sequence) else [height] * math.ceil(number / across)
    figure = Figure(figsize=(max(across * width, 5.2), sum(heights) + 1.0), layout="constrained")
    figure.suptitle(title, gid=TITLE_TAG)
    grid = figure.subplots(len(heights), across, squeeze=False, height_ratios=heights)
    axes = list(grid.flat)
    for surplus in axes[number:]:
        surplus.remove()
    return figure, axes[:number]


def panel_title(axes: Axes, data: ReportData, workload: tuple[str, str], note: str = "") -> None:
    """Set the title of a panel to the workload, on two lines.

    If the report has several suites, the name of the suite precedes it.

    Args:
        axes: the panel.
        data: the results.
        workload: (suite, workload).
        note: a last line, for a panel that shows another target than the headline.
    """
    head, rest = data.headings[workload]
    suite = [workload[0]] if len(data.locks) > 1 else []
    lines = [*suite, wrap_label(head, HEAD_LETTERS), wrap_label(rest, TITLE_LETTERS), *([note] if note else [])]
    axes.set_title("\n".join(lines))


def legend(figure: Figure, keys: Sequence[LegendEntry], note: str = "") -> None:
    """Add a legend below the panels, with as many columns as fit. A legend with many rows makes the figure higher.

    Args:
        figure: with its panels.
        keys: the entries.
        note: a line above them, such as what the figure leaves out.
    """
    handles, names = zip(*keys, strict=True)
    letters = int(figure.get_figwidth() * LETTERS_PER_INCH)
    length = DASHED_LENGTH if any(map(_has_marker_and_dashes, handles)) else HANDLE_LENGTH
    key_letters = KEY_LETTERS + round(EM_LETTERS * (length - HANDLE_LENGTH))
    wrapped = [wrap_label(name, letters - key_letters) for name in names]
    longest = max(len(line) for name in wrapped for line in name.split("\n"))
    columns = min(max(1, letters // (longest + key_letters)), len(names), 6)
    title = fill(note, letters)
    rows = math.ceil(len(names) / columns) * max(name.count("\n") + 1 for name in wrapped) + len(title.splitlines())
    figure.set_figheight(figure.get_figheight() + max(0, rows - LEGEND_ROWS) * ROW_INCHES)
    legend_artist = figure.legend(
        handles, wrapped, loc="outside lower center", ncols=columns, frameon=False, handlelength=length
    )
    if note:
        legend_artist.set_title(title)
        legend_artist.get_title().set_fontsize(8)
    for text, name in zip(legend_artist.get_texts(), names, strict=True):
        # `tags.number_tags` needs the label without line breaks
        text.set_label(name)


def _has_marker_and_dashes(handle: Artist) -> bool:
    return (
        isinstance(handle, Line2D)
        and handle.get_marker() not in ("None", "", None)
        and handle.get_linestyle() not in ("None", "", "-")
    )


def line_keys(styles: Mapping[str, PlotStyle]) -> list[LegendEntry]:
    """Legend entries with lines and markers, by label."""
    return [
        (Line2D([], [], color=style.color, linestyle=style.dashes, **marker(style)), label)
        for label, style in limit_legend(styles).items()
    ]


def marker_keys(styles: Mapping[str, PlotStyle]) -> list[LegendEntry]:
    """Legend entries with markers, by label."""
    return [(Line2D([], [], linestyle="", **marker(style)), label) for label, style in limit_legend(styles).items()]


def limit_legend(styles: Mapping[str, PlotStyle]) -> Mapping[str, PlotStyle]:
    """The entries of a legend: all strategies, or only their families if there are more than `MOST_KEYS` strategies."""
    if len(styles) <= MOST_KEYS:
        return styles
    variants = Counter(style.family for style in styles.values())
    first = {style.family: style for style in reversed(list(styles.values()))}
    names = {family: f"{family} ({number} variants)" if number > 1 else family for family, number in variants.items()}
    return {names[family]: first[family] for family in variants}


def marker(style: PlotStyle, scale: float = 5.5) -> PlotArguments:
    """Keyword arguments of `Axes.plot` for the markers of a line: shape by family, fill by variant.

    Args:
        style: the style of the strategy.
        scale: the size in points, of a square.
    """
    return {
        "marker": style.marker,
        "markersize": scale * style.size,
        "markeredgecolor": style.color,
        "markerfacecolor": style.color,
        "markerfacecoloralt": "white",
        "fillstyle": style.fill,
        "markeredgewidth": 0.8,
    }


def faint_marker(style: PlotStyle, scale: float) -> PlotArguments:
    """Keyword arguments of `Axes.plot` for the points of single cells: as `marker`, but the interior is transparent."""
    pale = {"markerfacecolor": to_rgba(style.color, FAINT), "markeredgewidth": 0.5}
    return {"linestyle": "", **marker(style, scale), **pale}


def shifts_of(points: Sequence[Point], x_limits: Limits, y_limits: Limits, panel: Point) -> list[float]:
    """The horizontal shifts of large markers after which no two of them overlap.

    Args:
        points: x and y of each marker.
        x_limits: the limits of the x axis, which is logarithmic.
        y_limits: the limits of the y axis, which is logarithmic.
        panel: the width and the height of the panel's data area, in points.

    Returns:
        For each marker the shift to the right, in points; 0 for a point that is not finite. It is the smallest
        multiple of 2 that keeps the marker in the panel and apart from those that are closer to the middle. Where no
        such shift exists, it is the one that brings the marker furthest from these.
    """
    positions = [position_of(point, x_limits, y_limits, panel) for point in points]
    finite = {i: (x, y) for i, (x, y) in enumerate(positions) if math.isfinite(x + y)}
    middle = sum(x for x, _ in finite.values()) / max(len(finite), 1)
    shifts, placed = [0.0] * len(points), list[Point]()
    # from the middle outward, so that shifted markers tend to keep their order from left to right
    for i, (x, y) in sorted(finite.items(), key=lambda item: abs(item[1][0] - middle)):
        multiples = [_STEP * n for n in range(math.ceil(-x / _STEP), math.floor((panel[0] - x) / _STEP) + 1)]
        # a whole marker fits beside the edge; only an unshifted one may lie on the edge
        inside = [shift for shift in multiples if LARGE / 2 <= x + shift <= panel[0] - LARGE / 2 or not shift]
        clearances = {
            shift: min((dist((x + shift, y), other) for other in placed), default=math.inf)
            for shift in sorted(inside, key=abs)
        }
        # `max` returns the first of equal values, which is the smallest shift
        shifts[i] = max(clearances, key=lambda shift: min(clearances[shift], OVERLAP))
        placed.append((x + shifts[i], y))
    return shifts


def position_of(point: Point, x_limits: Limits, y_limits: Limits, panel: Point) -> Point:
    """The position of a point in a panel, in points from its lower left corner; arguments as in `shifts_of`."""
    return relative_position(point[0], x_limits) * panel[0], relative_position(point[1], y_limits) * panel[1]


def large_marker(axes: Axes, point: Point, shift: float, keywords: PlotArguments) -> None:
    """Draw a large marker. A thin line leads from a shifted marker to its point.

    Args:
        axes: the panel.
        point: x and y.
        shift: to the right, in points.
        keywords: of `Axes.plot`.
    """
    if shift:
        axes.annotate(
            "", point, xytext=(shift, 0), textcoords="offset points", zorder=3,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
    axes.plot(*point, linestyle="", transform=shifted(axes, shift), **keywords)


def shifted(axes: Axes, shift: float) -> Transform:
    """The transform of data to a position that is `shift` points further right."""
    return axes.transData + ScaledTranslation(shift / 72, 0, axes.figure.dpi_scale_trans)


def note_offsets(markers: Sequence[Point], notes: Sequence[str], shifts: Sequence[float], panel: Point) -> list[Point]:
    """The offsets of notes beside large markers, so that they cover no marker and no other note.

    Args:
        markers: the positions of all markers in the panel, in points.
        notes: the text beside each marker, on one line; `""` for none.
        shifts: the shift of each marker. Its note is on the side that is opposite to its line, if there is space.
        panel: the width and the height of the panel's data area, in points.

    Returns:
        For each marker the offset of the center of its note from the center of the marker, in points.
    """
    radius = OVERLAP / 2
    occupied = [(x - radius, y - radius, x + radius, y + radius) for x, y in markers]
    offsets: list[Point] = []
    for (x, y), note, shift in zip(markers, notes, shifts, strict=True):
        half = (_LETTER * len(note) / 2, _LINE / 2)
        across, above = radius + half[0] + _SPACE, radius + half[1] + _SPACE
        first = math.copysign(across, shift)
        sides = [(first, 0.0), (0.0, above), (0.0, -above), (-first, 0.0), (across, above), (-across, above),
                 (across, -above), (-across, -above)]  # fmt: skip
        boxes = {(dx, dy): (x + dx - half[0], y + dy - half[1], x + dx + half[0], y + dy + half[1]) for dx, dy in sides}
        inside = [side for side, box in boxes.items() if _is_within(box, panel)]
        free = [side for side in inside if not any(_overlap(boxes[side], other) for other in occupied)]
        offsets.append((free or sides)[0])
        if note:
            occupied.append(boxes[offsets[-1]])
    return offsets


def _is_within(box: Box, panel: Point) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= panel[0] and box[3] <= panel[1]


def _overlap(box: Box, other: Box) -> bool:
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]


def mark_lower_bound(axes: Axes, place: float, value: float, style: PlotStyle) -> None:
    """Draw an arrow upwards from a point that is a lower bound."""
    axes.plot([place], [value], linestyle="", marker=BOUND, markersize=24, markeredgecolor=readable_color(style.color),
              markerfacecolor="none", markeredgewidth=1.1, zorder=6, clip_on=False)  # fmt: skip


def byte_axis(axis: Axis, limits: Limits) -> None:
    """Make an axis logarithmic, labeled in bytes, kB, MB, ..."""
    log_axis(axis, limits, FuncFormatter(lambda value, _: _without_zero_decimals(format_bytes(value))))


def step_axis(axis: Axis, limits: Limits) -> None:
    """Make an axis logarithmic, labeled with counts."""
    log_axis(axis, limits, FuncFormatter(lambda value, _: format_count(value)))


def number_axis(axis: Axis, limits: Limits) -> None:
    """Make an axis logarithmic, labeled with numbers of two significant digits."""
    log_axis(axis, limits, FuncFormatter(lambda value, _: _two_digits(value)))


def _without_zero_decimals(size: str) -> str:
    """Remove zero decimals from a size, because ticks are round numbers.

    >>> _without_zero_decimals("10.0 MB")
    '10 MB'
    """
    return re.sub(r"\.0+(?= )", "", size)


def _two_digits(value: float) -> str:
    """Two significant digits without trailing zeros: `0.5` instead of `0.50`."""
    text = format_significant(value, 2)
    return text.rstrip("0").rstrip(".") if "." in text else text


def log_limits(values: npt.ArrayLike) -> Limits:
    """The limits of a logarithmic axis: the range of the positive, finite values, with a margin."""
    array = np.asarray(values, dtype=float)
    array = array[np.isfinite(array) & (array > 0)]
    low, high = (float(array.min()), float(array.max())) if array.size else (1.0, 10.0)
    pad = max((high / low) ** 0.06, 1.15)
    return low / pad, high * pad


def relative_position(value: float, limits: Limits) -> float:
    """The position of a value on a logarithmic axis, in 0..1."""
    return math.log(value / limits[0]) / math.log(limits[1] / limits[0])


def log_axis(axis: Axis, limits: Limits, formatter: FuncFormatter) -> None:
    """Make an axis logarithmic, with at least two labeled ticks for any range.

    Args:
        axis: the x or y axis.
        limits: its range; both above 0.
        formatter: formats the tick labels.
    """
    axis._set_axes_scale("log")  # type: ignore[attr-defined]
    decades = math.log10(limits[1] / limits[0])
    subs = (1.0,) if decades > 2.3 else (1.0, 3.0) if decades > 1.2 else (1.0, 2.0, 5.0)
    # within a decade LogLocator gives too few ticks, and its fallback too many
    narrow = decades < 0.75
    axis.set_major_locator(MaxNLocator(4) if narrow else LogLocator(base=10, subs=subs, numticks=7))
    axis.set_major_formatter(formatter)
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
    axis.set_view_interval(*limits, ignore=True)


def target_lines(axes: Axes, targets: Sequence[float]) -> None:
    """Draw a dotted horizontal line at each target."""
    for target in targets:
        axes.axhline(target, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
