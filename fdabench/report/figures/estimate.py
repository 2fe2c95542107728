"""A figure: the monitors' estimates of the model variance against its exact value."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fdabench.analysis.data import ReportData
from fdabench.formatting import format_count, format_percent, format_significant, plural
from fdabench.report.figures.canvas import GREY, PlotArguments, log_limits, marker, number_axis, panels
from fdabench.report.figures.plot import FigureSpec
from fdabench.style.plot_style import PlotStyle

TITLE = "The monitors' estimates against the exact model variance"
MOST_POINTS = 1500
# relative: float32 rounding makes an exact estimate smaller than the exact variance by up to this much
_ROUNDING = 1e-4


def estimate_pairs(data: ReportData) -> pd.DataFrame:
    """The estimates for which the exact variance at the same step is known: just before syncs and at evaluations.

    Cells whose FDA has a `lag` are left out, because their estimate is that of an earlier step.

    Returns:
        A row for each, with the columns `cell_id`, `label`, `family`, `estimate`, `variance` and `at`, which is
        `"sync"` or `"evaluation"`.
    """
    columns = ["cell_id", "label", "family", "estimate", "variance"]
    parts = [data.rounds[columns].assign(at="sync"), data.evals[columns].assign(at="evaluation")]
    nonempty = [part for part in parts if len(part)]
    pairs = pd.concat(nonempty, ignore_index=True) if nonempty else parts[0]
    return pairs[~pairs["cell_id"].isin(_cells_with_lag(data))].dropna(subset=["estimate", "variance"])


def _cells_with_lag(data: ReportData) -> set[str]:
    return {cell for cell, config in data.configs.items() if config.strategy.to_table().get("lag")}


def positive_only(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs that a logarithmic scale can show."""
    return pairs[(pairs["estimate"] > 0) & (pairs["variance"] > 0)]


def draw_estimate(data: ReportData) -> Figure | None:
    """Draw one panel for each family of strategies; None if no pair of estimate and variance is positive."""
    pairs = positive_only(estimate_pairs(data))
    if pairs.empty:
        return None
    families = list(dict.fromkeys(pairs["family"]))
    figure, axes = panels(len(families), TITLE, 3.0, 2.9)
    for panel, family in zip(axes, families, strict=True):
        _panel(panel, data, pairs, str(family))
    style = PlotStyle("", "black", "o", "-", "full")
    present = set(pairs["at"])
    keys = [
        Line2D([], [], label=f"at {'an' if at == 'evaluation' else 'a'} {at}", **_marker(style, at))
        for at in ("sync", "evaluation")
        if at in present
    ]
    keys.append(Line2D([], [], color=GREY, linestyle="--", linewidth=0.9, label="estimate = variance"))
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), frameon=False)
    return figure


def _panel(axes: Axes, data: ReportData, pairs: pd.DataFrame, family: str) -> None:
    of_family = pairs[pairs["family"] == family]
    style = next(style for style in data.styles.values() if style.family == family)
    # syncs last: they are fewer than evaluations, whose markers would cover them
    for at in ("evaluation", "sync"):
        points = of_family[of_family["at"] == at]
        points = points.iloc[:: max(1, -(-len(points) // MOST_POINTS))]
        axes.plot(points["variance"], points["estimate"], rasterized=True, **_marker(style, at))
    span = log_limits(pd.concat([pairs["variance"], pairs["estimate"]]))
    axes.axline((1, 1), (10, 10), color=GREY, linestyle="--", linewidth=0.9, zorder=5)
    number_axis(axes.xaxis, span)
    number_axis(axes.yaxis, span)
    axes.set_xlabel("exact model variance")
    axes.set_ylabel("estimate")
    axes.set_title(f"{family}: {_summary(of_family)}")
    axes.grid(visible=True)


def _marker(style: PlotStyle, at: str) -> PlotArguments:
    """Keyword arguments of `Axes.plot`, and of the legend entry, for the points at one `at` of `estimate_pairs`."""
    fill = "full" if at == "sync" else "none"
    return {**marker(style, 3.5), "linestyle": "", "fillstyle": fill, "markeredgewidth": 0.5}


def _summary(pairs: pd.DataFrame) -> str:
    """The median ratio of estimate and variance, and the share of estimates that are too low."""
    share_below = float((pairs["estimate"] < pairs["variance"] * (1 - _ROUNDING)).mean())
    median = float((pairs["estimate"] / pairs["variance"]).median())
    return (
        f"median {format_significant(median)} × exact\ntoo low in {format_percent(share_below)} of "
        f"{format_count(len(pairs))}"
    )


def caption_estimate(data: ReportData) -> str:
    """Return the caption."""
    pairs = estimate_pairs(data)
    hidden = len(pairs) - len(positive_only(pairs))
    left_out = f" {hidden} pairs that are not positive are left out." if hidden else ""
    if _cells_with_lag(data):
        left_out += " Cells with `lag` are left out: their estimate is that of an earlier step."
    return (
        "The monitor's estimate, meant as an upper bound of the model variance, against the exact variance (squared L2 "
        f"norms), just before syncs and at evaluations; {plural(len(pairs), 'pair')} from "
        f"{plural(pairs['cell_id'].nunique(), 'cell')}, all variants of a monitor together. Points above the diagonal "
        "are overestimates: workers synchronize too early, not too late. At most "
        f"{format_count(MOST_POINTS)} evenly spaced points of each kind are drawn; the percentages are of all points."
        f"{left_out}"
    )


ESTIMATE = FigureSpec("estimate-variance", TITLE, caption_estimate, draw_estimate)
