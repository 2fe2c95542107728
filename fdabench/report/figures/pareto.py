"""Communication against computation: bytes and steps to the target, the paper's main picture."""

from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fdabench.report.data import WORKLOAD, ReportData
from fdabench.report.figures.canvas import (
    GREY,
    MAX_PANELS,
    Key,
    byte_axis,
    faint_marker,
    legend,
    limits_of,
    marker,
    marker_keys,
    panel_title,
    panels,
    step_axis,
)
from fdabench.report.figures.plot import Plot, cells_and_seeds, panels_shown, the_target
from fdabench.report.figures.tags import drawing
from fdabench.report.headline import strategies_of
from fdabench.report.text import listing, plural, target_name

# As many letters as a panel is wide.
_WORDS = 40
TITLE = "Bytes against steps to the target"


def draw_pareto(data: ReportData) -> Figure | None:
    rows = data.shown
    hits = _drawable(rows)
    if hits.empty:
        return None
    of_workload = [(pair, group) for pair, group in rows.groupby(WORKLOAD, sort=False) if len(_drawable(group))]
    of_workload = of_workload[:MAX_PANELS]
    figure, axes = panels(len(of_workload), TITLE, 3.1, 2.8)
    for panel, (pair, group) in zip(axes, of_workload, strict=True):
        _panel(panel, data, group)
        panel_title(panel, (str(pair[0]), str(pair[1])), len(data.locks), data.apart(str(pair[0]), str(pair[1])))
    frontier: Key = (Line2D([], [], color=GREY, linewidth=0.8, linestyle="--"), "not beaten in both")
    legend(figure, [*marker_keys({label: data.looks[label] for label in strategies_of(hits)}), frontier])
    return figure


def _drawable(rows: pd.DataFrame) -> pd.DataFrame:
    """Hits that cost something: a log scale has no place for one worker in a ring."""
    return rows[rows["reached"].astype(bool) & (rows["bytes_total"] > 0)]


def _panel(axes: Axes, data: ReportData, group: pd.DataFrame) -> None:
    hits = _drawable(group)
    middles = hits.groupby("label", sort=False)[["step", "bytes_total"]].median().astype(float)
    for label, mine in hits.groupby("label", sort=False):
        if len(mine) > 1:  # else it is its own median
            with drawing(axes, str(label)):
                axes.plot(mine["step"], mine["bytes_total"], zorder=2, **faint_marker(data.looks[str(label)], 3.5))
    _frontier(axes, middles)
    for label, step, spent in zip(middles.index, middles["step"], middles["bytes_total"], strict=True):
        with drawing(axes, str(label)):
            axes.plot(step, spent, linestyle="", zorder=4, **marker(data.looks[str(label)], 8))
            _hit_count(axes, group[group["label"] == label], step, spent)
    step_axis(axes.xaxis, limits_of(hits["step"]))
    byte_axis(axes.yaxis, limits_of(hits["bytes_total"]))
    never = [label for label in strategies_of(group) if label not in middles.index]
    missing = "\n" + _wrapped(f"not reached by {listing(never, 2)}") if never else ""
    axes.set_xlabel(f"local steps to {target_name(group['target'].iloc[0])}{missing}")
    axes.set_ylabel("bytes of all workers")
    axes.grid(visible=True)


def _wrapped(text: str) -> str:
    """Broken at commas and blanks, but not within a label."""
    return fill(text.replace(" θ", "\u00a0θ").replace(" τ", "\u00a0τ"), _WORDS)


def _frontier(axes: Axes, middles: pd.DataFrame) -> None:
    """Through the strategies that no other beats in both costs."""
    best = middles.sort_values(["step", "bytes_total"])
    best = best[best["bytes_total"] < best["bytes_total"].cummin().shift(fill_value=float("inf"))]
    axes.step(best["step"], best["bytes_total"], where="post", color=GREY, linewidth=0.8, linestyle="--", zorder=1)


def _hit_count(axes: Axes, mine: pd.DataFrame, step: float, spent: float) -> None:
    reached = int(mine["reached"].sum())
    if reached < len(mine):
        axes.annotate(f"{reached}/{len(mine)}", (step, spent), xytext=(6, 4), textcoords="offset points", fontsize=6.5)


def caption_pareto(data: ReportData) -> str:
    rows = data.shown
    missed = int((~rows["reached"]).sum())
    left_out = f" {_missed(missed)} left out; n/N stands by a strategy that missed some." if missed else ""
    return (
        "Bytes of all workers against local steps of each worker until the first evaluation at "
        f"{the_target(data)}, both on log scales; down and left is better. "
        f"{cells_and_seeds(data)}. Faint: one cell each; bold: median over the seeds that reached it, or the one "
        f"that did.{left_out}" + panels_shown(rows.groupby(WORKLOAD).ngroups, MAX_PANELS, "workloads")
    )


def _missed(cells: int) -> str:
    return f"{plural(cells, 'cell')} that missed it {'are' if cells != 1 else 'is'}"


PARETO = Plot("pareto", TITLE, caption_pareto, draw_pareto)
