"""A figure: performance profiles, the share of workloads on which a strategy is within a factor of the fewest bytes.

Dolan and Moré (2002), Benchmarking optimization software with performance profiles.
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.profiles import log2_range, profile, ratios_to_best
from fdabench.analysis.stats import PAIR
from fdabench.formatting import plural
from fdabench.report.figures.canvas import PlotArguments, legend, line_keys, marker, panels
from fdabench.report.figures.plot import FigureSpec
from fdabench.report.figures.tags import tag_artists

TITLE = "Performance profiles of the bytes to the target"
LEAST_PAIRS = 8
"""Pairs of workload and seed, at least. With fewer, curves have so few steps that they coincide."""


def draw_profile(data: ReportData) -> Figure | None:
    """Draw one curve for each strategy; None if there are fewer than `LEAST_PAIRS` pairs of workload and seed."""
    ratios = ratios_to_best(data.at_workload_target, "cost_bytes")
    if ratios.groupby(PAIR).ngroups < LEAST_PAIRS:
        return None
    figure, (axes,) = panels(1, TITLE, 6.2, 3.2)
    end = log2_range(ratios) * 1.03
    for label, of_label in ratios.groupby("label", sort=False):
        factors, shares = profile(of_label)
        style, xs = data.styles[str(label)], np.concatenate([[0.0], np.log2(factors), [end]])
        heights = np.concatenate([[0.0], shares, shares[-1:] if len(shares) else [0.0]])
        with tag_artists(axes, str(label)):
            # markers only where the curve rises
            every = list(range(1, len(xs) - 1, max(1, len(factors) // 6)))
            line: PlotArguments = {"color": style.color, "linestyle": style.dashes, "clip_on": False}
            axes.plot(xs, heights, drawstyle="steps-post", markevery=every, **line, **marker(style, 4.5))
    axes.set_xlim(0, end)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=end > 3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{2**value:.3g}×"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}"))
    axes.set_xlabel("bytes to the target, as a multiple of the fewest (log scale)")
    axes.set_ylabel("workloads, %")
    axes.grid(visible=True)
    legend(figure, line_keys({label: data.styles[label] for label in data.labels if (ratios["label"] == label).any()}))
    return figure


def caption_profile(data: ReportData) -> str:
    """Return the caption."""
    ratios, rows = ratios_to_best(data.at_workload_target, "cost_bytes"), data.at_workload_target
    num_missed, left_out = int((~ratios["reached"].astype(bool)).sum()), len(rows) - len(ratios)
    no_hits = f" Left out: {plural(left_out, 'cell')} of workloads and seeds without any hit." if left_out else ""
    return (
        "Performance profiles (Dolan and Moré): the height at a factor is the share of the workloads on which the "
        "strategy reached the workload's target with at most that many times the fewest bytes of any strategy with the "
        "same seed. The left end is the share on which it was the cheapest, the right end the share on which it "
        "reached the target. Each workload has the same weight, and each of its seeds an equal part of it. "
        f"{plural(len(ratios), 'cell')} of "
        f"{plural(ratios.groupby(WORKLOAD).ngroups, 'workload')}, "
        f"{plural(ratios['seed'].nunique(), 'seed')}, "
        f"{data.conventions} accounting; {plural(num_missed, 'cell')} missed the target "
        f"and count as within no factor.{no_hits}"
    )


def absence_profile(data: ReportData) -> str:
    """The reason why there is no figure; empty if no cell reached a target."""
    pairs = ratios_to_best(data.at_workload_target, "cost_bytes").groupby(PAIR).ngroups
    if not pairs:
        return ""
    return (
        f"{TITLE}: the figure requires {LEAST_PAIRS} pairs of workload and seed on which a strategy reached the "
        f"target; these results have {pairs}."
    )


PROFILE = FigureSpec("profile", TITLE, caption_profile, draw_profile, absence_profile)
