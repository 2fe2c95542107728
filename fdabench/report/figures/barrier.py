"""Two figures of fleets: the time at barriers if step times vary, and the fastest strategy by bandwidth and jitter."""

import math
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from fdabench.accounting.costs import EvalPoint
from fdabench.accounting.fleets import Fleet, FleetTime, Links, fleet_time
from fdabench.accounting.step_time import Lognormal
from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.headline import labels_in_order
from fdabench.report.figures.canvas import LegendEntry, legend, line_keys, marker, panel_title, panels
from fdabench.report.figures.crossover import (
    MapGrid,
    bandwidth_axis,
    draw_regions,
    label_regions,
    median_row,
    median_volume,
    not_kept_note,
    region_fills,
    region_patch,
)
from fdabench.report.figures.plot import FigureSpec, truncation_note

BARRIER_TITLE = "Time at barriers against jitter"
JITTER_TITLE = "Fastest strategy by bandwidth and jitter"
MOST_WORKLOADS, MOST_LINES = 4, 15
SIGMAS = np.linspace(0, 1, 11)
_ROWS = np.linspace(0, 1, 101)
"""Sigmas of the map's rows; times between two of `SIGMAS` are interpolated."""
BANDWIDTHS = np.logspace(6, 11, 101)
"""In bit/s."""
LATENCY = 1e-3
"""Seconds of one way; the same in the whole map, whose axes are bandwidth and jitter."""
_INFINITELY_FAST = Links((math.inf,))

JitterCurve = npt.NDArray[np.float64]

_CURVES: WeakKeyDictionary[ReportData, dict[tuple[str, ...], dict[str, JitterCurve]]] = WeakKeyDictionary()
"""The curves of each report by the ids of their cells: both figures need them, and they take seconds to compute."""


def jitter_curves(data: ReportData, group: pd.DataFrame) -> dict[str, JitterCurve]:
    """Return the time to the target without communication, in multiples of that of equal machines, for each sigma.

    Args:
        data: the results.
        group: rows of `data.volumes` of one workload.

    Returns:
        By label, shape [len(SIGMAS)]; of each strategy the seed with the median number of bytes.
    """
    curves, cells = _CURVES.setdefault(data, {}), tuple(map(str, group["cell_id"]))
    if cells not in curves:
        labels = labels_in_order(group)[:MOST_LINES]
        curves[cells] = {label: _curve(data, group[group["label"] == label]) for label in labels}
    return curves[cells]


def _curve(data: ReportData, rows: pd.DataFrame) -> JitterCurve:
    row = median_row(rows)
    cell, suite = str(row["cell_id"]), str(row["suite"])
    instant = EvalPoint(int(row["step"]), bool(row["after_sync"]))
    ledger = data.ledger[data.ledger["cell_id"] == cell]
    convention, workers, seed = data.locks[suite].convention, int(row["workers"]), int(row["seed"])

    def time_at(sigma: float) -> FleetTime:
        return fleet_time(ledger, instant, workers, convention, Fleet(Lognormal(sigma), _INFINITELY_FAST), 1.0, seed)

    return np.array([time_at(float(sigma)).total for sigma in SIGMAS]) / instant.step


def _groups(data: ReportData) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """The workloads on which a strategy reached the target; empty if no fleet was named."""
    if not any(data.fleets.values()):
        return []
    return [((str(pair[0]), str(pair[1])), rows) for pair, rows in data.volumes.groupby(WORKLOAD, sort=False)]


def draw_barrier(data: ReportData) -> Figure | None:
    """Draw one panel for each workload; None if no fleet was named or no target was reached."""
    groups = _groups(data)[:MOST_WORKLOADS]
    if not groups:
        return None
    figure, axes = panels(len(groups), BARRIER_TITLE, 4.0, 3.0, columns=2)
    present: dict[str, None] = {}
    for panel, (workload, group) in zip(axes, groups, strict=True):
        for label, curve in jitter_curves(data, group).items():
            style = data.styles[label]
            panel.plot(SIGMAS, curve, color=style.color, linestyle=style.dashes, markevery=2, **marker(style, 4))
            present[label] = None
        panel_title(panel, data, workload)
        panel.set_xlabel("jitter: sigma of the log of a step time")
        panel.set_ylabel("time relative to equal machines")
        panel.grid(visible=True)
    legend(figure, line_keys({label: data.styles[label] for label in data.labels if label in present}))
    return figure


def _kept_groups(data: ReportData) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """The workloads on which at least two strategies reached the target and kept it, with the rows of these."""
    groups = [(workload, rows[rows.index.isin(data.kept_volumes.index)]) for workload, rows in _groups(data)]
    return [(workload, rows) for workload, rows in groups if rows["label"].nunique() > 1]


def draw_jitter(data: ReportData) -> Figure | None:
    """Draw one map for each workload on which at least two strategies reached the target; None if there is none."""
    groups = _kept_groups(data)[:MOST_WORKLOADS]
    if not groups:
        return None
    figure, axes = panels(len(groups), JITTER_TITLE, 4.5, 3.0, columns=2)
    maps = [fastest_by_jitter(data, group) for _, group in groups]
    fills = region_fills(data, {label for regions in maps for label in regions})
    for panel, (workload, group), regions in zip(axes, groups, maps, strict=True):
        panel.set_xscale("log")
        grid = MapGrid(BANDWIDTHS, _ROWS)
        nothing = np.zeros((len(_ROWS), len(BANDWIDTHS)), dtype=bool)
        draw_regions(panel, grid, {label: (region, fills[label]) for label, region in regions.items()}, nothing)
        label_regions(panel, grid, regions, nothing)
        bandwidth_axis(panel)
        panel_title(panel, data, workload)
        panel.set_ylabel(f"jitter, sigma (to {group['target_name'].iloc[0]})")
    keys: list[LegendEntry] = [(region_patch(fill), label) for label, fill in fills.items()]
    legend(figure, keys)
    return figure


def fastest_by_jitter(data: ReportData, group: pd.DataFrame) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the region in which each strategy is the fastest, as a mask of shape [101 sigmas, bandwidth] by label.

    Args:
        data: the results.
        group: rows of `data.volumes` of one workload.
    """
    times = {}
    for label, curve in jitter_curves(data, group).items():
        volume, step_s = median_volume(group[group["label"] == label])
        links = volume.seconds(BANDWIDTHS[None, :], LATENCY, 0.0)
        times[label] = volume.steps * step_s * np.interp(_ROWS, SIGMAS, curve)[:, None] + links
    best = np.argmin(np.stack(list(times.values())), axis=0)
    return {label: best == at for at, label in enumerate(times) if (best == at).any()}


def caption_barrier(data: ReportData) -> str:
    """Return the caption of the figure of barriers."""
    total = len(_groups(data))
    return (
        "Time of computation and waiting up to the target, divided by the time if all steps took equally long. Step "
        "times are lognormal with mean 1 and standard deviation sigma of the logarithm; FedScale's devices have 0.6. "
        "Every collective waits for the slowest worker; one with slack does so later. Communication takes no time in "
        "this figure. Of each strategy, the seed with the median number of bytes."
        + truncation_note(total, MOST_WORKLOADS, "workloads")
    )


def caption_jitter(data: ReportData) -> str:
    """Return the caption of the figure of bandwidth and jitter."""
    total = len(_kept_groups(data))
    return (
        "The strategy with the shortest modeled time to the target, of those that reached and kept it. The time is the "
        f"sum of that in the figure above, and of the collectives on links with a latency of {1e3 * LATENCY:g} ms one "
        "way. A collective with slack takes as long as without overlap. An arrow leads from a name to a narrow region. "
        f"Accounting: {data.conventions}." + not_kept_note(data) + truncation_note(total, MOST_WORKLOADS, "workloads")
    )


BARRIER = FigureSpec("barrier", BARRIER_TITLE, caption_barrier, draw_barrier)
JITTER = FigureSpec("jitter", JITTER_TITLE, caption_jitter, draw_jitter)
