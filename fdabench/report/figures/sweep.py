"""A figure: bytes and local steps to the target against theta, with the thetas that the FDA paper's rules give."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.stats import geometric_mean
from fdabench.formatting import join_first
from fdabench.published.theta_rules import THETA_PER_PARAMETER
from fdabench.report.caveats import MIN_THETAS
from fdabench.report.figures.canvas import (
    GREY,
    SMALL,
    byte_axis,
    faint_marker,
    legend,
    line_keys,
    log_limits,
    mark_lower_bound,
    marker,
    number_axis,
    panels,
    step_axis,
)
from fdabench.report.figures.plot import FigureSpec, sample_note, the_target, truncation_note
from fdabench.report.figures.wrapping import TITLE_LETTERS, wrap_label
from fdabench.style.plot_style import ColorMarker, PlotStyle, assign_styles

TITLE = "Bytes and steps to the target against theta"
MOST_WORKLOADS = 4
# a rule is drawn if its theta is within this factor of the thetas that were run
NEAR = 3.0
_COST = {"cost_bytes": "bytes of all workers", "cost_steps": "local steps"}
# alignments with which the names of the rules do not overlap, even if their lines are close to each other
_SIDES = {"hpc": "right", "balanced": "center", "fl": "left"}


def theta_sweeps(data: ReportData) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """The outcomes of strategies with at least `MIN_THETAS` thetas on a workload, by workload.

    Workloads on which none of them reached a target are left out.

    Returns:
        Pairs of (suite, workload) and rows. Rows of one sweep have the same `series`, which identifies the settings
        other than theta, and the same `name`, which is the text of the legend.
    """
    rows = data.at_workload_target.join(
        data.runs.set_index("cell_id")[["theta", "num_parameters", "series"]], on="cell_id"
    )
    rows = rows.dropna(subset="theta")
    sweeps = []
    for key, group in rows.groupby(WORKLOAD, sort=False):
        several = group[group.groupby("series")["theta"].transform("nunique") >= MIN_THETAS]
        if several["reached"].any():
            sweeps.append(((str(key[0]), str(key[1])), several.assign(name=several["series"].map(_names(several)))))
    return sweeps


def _names(rows: pd.DataFrame) -> dict[str, str]:
    """The name of each series: the words that its labels have in common, or else its family.

    Equal names get numbers: `#2`, `#3`, ...
    """
    names: dict[str, str] = {}
    for series, of_series in rows.groupby("series", sort=False):
        first, *others = [str(label).split(" ") for label in dict.fromkeys(of_series["label"])]
        name = " ".join(word for word in first if all(word in other for other in others)) or of_series["family"].iloc[0]
        num_same = sum(other == name or other.startswith(f"{name} #") for other in names.values())
        names[str(series)] = f"{name} #{num_same + 1}" if num_same else name
    return names


def draw_sweep(data: ReportData) -> Figure | None:
    """Draw two panels, bytes and steps, for each workload of `theta_sweeps`; None if there is none."""
    sweeps = theta_sweeps(data)
    if not sweeps:
        return None
    drawn_sweeps = sweeps[:MOST_WORKLOADS]
    styles = _assign_styles(drawn_sweeps, data.color_markers)
    figure, axes = panels(2 * len(drawn_sweeps), TITLE, 3.5, 3.0, columns=2)
    for row, ((suite, workload), group) in enumerate(drawn_sweeps):
        note = data.target_note(suite, workload)
        title = wrap_label(data.workload_title(suite, workload) + (f", {note}" if note else ""), TITLE_LETTERS)
        for panel, cost in zip(axes[2 * row : 2 * row + 2], _COST, strict=True):
            _panel(panel, group, cost, styles)
            panel.set_title(title, pad=52 if rules_in_range(group) else 6)
    legend(figure, line_keys(styles))
    return figure


def _assign_styles(
    sweeps: list[tuple[tuple[str, str], pd.DataFrame]], color_markers: Mapping[str, ColorMarker]
) -> dict[str, PlotStyle]:
    rows = pd.concat([group for _, group in sweeps])
    return assign_styles(dict(zip(rows["name"], rows["family"], strict=True)), color_markers)


def rules_in_range(group: pd.DataFrame) -> dict[str, float]:
    """The theta of each published rule for this model, by name, if it is within `NEAR` of the thetas that were run."""
    size = float(group["num_parameters"].iloc[0])
    low, high = group["theta"].min() / NEAR, group["theta"].max() * NEAR
    return {name: constant * size for name, constant in THETA_PER_PARAMETER.items() if low <= constant * size <= high}


def _panel(axes: Axes, group: pd.DataFrame, cost: str, styles: dict[str, PlotStyle]) -> None:
    with_cost = group.dropna(subset=cost)
    for name, of_name in with_cost.groupby("name", sort=False):
        _line(axes, of_name, cost, styles[str(name)])
    rules = rules_in_range(group)
    for name, theta in rules.items():
        axes.axvline(theta, color=GREY, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
        axes.text(
            theta, 1.02, name, transform=axes.get_xaxis_transform(), rotation=90, ha=_SIDES[name], va="bottom",
            fontsize=SMALL, color=GREY,
        )  # fmt: skip
    thetas, costs = log_limits([*group["theta"], *rules.values()]), log_limits(with_cost[cost])
    axes.set(xlim=thetas, ylim=costs)  # set before the scale, because all costs may be equal
    number_axis(axes.xaxis, thetas)
    (byte_axis if cost == "cost_bytes" else step_axis)(axes.yaxis, costs)
    axes.set_xlabel("θ, squared L2 norm")
    axes.set_ylabel(f"{_COST[cost]} to {group['target_name'].iloc[0]}")
    axes.grid(visible=True)


def _line(axes: Axes, rows: pd.DataFrame, cost: str, style: PlotStyle) -> None:
    """Draw a line through the geometric means over seeds, and points for single cells.

    An arrow upwards marks a mean that is a lower bound, because a cell missed the target and counts with what it spent.
    """
    at_theta = rows.groupby("theta")
    means = at_theta[cost].agg(geometric_mean)
    axes.plot(rows["theta"], rows[cost], zorder=2, **faint_marker(style, 3))
    axes.plot(means.index, means, color=style.color, linestyle=style.dashes, zorder=3, **marker(style, 5))
    for theta in means.index[~at_theta["reached"].all()]:
        mark_lower_bound(axes, float(theta), float(means[theta]), style)


def caption_sweep(data: ReportData) -> str:
    """Return the caption."""
    sweeps = theta_sweeps(data)
    rules = dict.fromkeys(name for _, group in sweeps[:MOST_WORKLOADS] for name in rules_in_range(group))
    lines = (
        " Dashed: theta by the FDA paper's rules "
        f"({join_first([f'{name} {THETA_PER_PARAMETER[name]:g}' for name in rules])} per "
        "parameter), each fitted to four thetas that the paper's authors chose by hand."
        if rules
        else ""
    )
    return (
        f"Bytes of all workers and local steps of each worker until {the_target(data)}, "
        "against theta, all on log scales. Lines: geometric mean over seeds; faint: one cell each; "
        "arrow upwards: a lower bound, because a seed missed the target and counts with the costs that it had."
        f"{lines} "
        f"{sample_note(data)}." + truncation_note(len(sweeps), MOST_WORKLOADS, "workloads")
    )


def absence_sweep(data: ReportData) -> str:
    """The reason why there is no figure; empty if no strategy has a theta."""
    thetas = data.finished.dropna(subset="theta")
    if thetas.empty:
        return ""
    most = int(thetas.groupby([*WORKLOAD, "series"])["theta"].nunique().max())
    if most < MIN_THETAS:
        return (
            f"{TITLE}: the figure requires {MIN_THETAS} thetas of one strategy on one workload; these results have "
            f"{most}."
        )
    return f"{TITLE}: no strategy with {MIN_THETAS} thetas reached a target."


SWEEP = FigureSpec("theta-sweep", TITLE, caption_sweep, draw_sweep, absence_sweep)
