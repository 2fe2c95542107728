"""Readability of figures: few seeds, overlapping markers, a common scale, and notes on what is left out."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from fdabench.analysis.data import ReportData, combine_results
from fdabench.report.figures import PLOTS
from fdabench.report.figures.canvas import LARGE, SMALL, note_offsets, shifts_of
from fdabench.report.figures.cost import common_limits
from fdabench.report.figures.crossover import TIE, fastest_regions, ties
from fdabench.report.figures.error_scale import WORDS, worst_shown_value
from fdabench.report.figures.pareto import workloads_without
from fdabench.report.figures.profile import LEAST_PAIRS, absence_profile
from fdabench.report.figures.sweep import absence_sweep
from fdabench.report.figures.timeline import chosen_cells
from fdabench.report.page.render import house_style, render
from fdabench.results.load import Results
from fdabench.style.contrast import contrast

BY_NAME = {plot.name: plot for plot in PLOTS}
PANEL = (160.0, 125.0)
WIDEST = 9.3
"""Inches: 1.2 times as large they fit a page that is 1400 pixels wide."""


def draw(name: str, data: ReportData) -> Figure:
    with house_style():
        figure = BY_NAME[name].draw(data)
    assert figure is not None
    return figure


def draws(name: str, data: ReportData) -> bool:
    with house_style():
        return BY_NAME[name].draw(data) is not None


@pytest.mark.slow
def test_text_is_at_least_twelve_pixels_high_on_the_page(full: Results) -> None:
    data = combine_results([full])
    for plot in PLOTS:
        figure = render(plot, data)
        if figure is None:
            continue
        svg = figure.files["svg"].decode()
        sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)]
        width = re.search(r'<svg [^>]*width="([\d.]+)pt"', svg)
        assert sizes, f"{plot.name} has no text"
        assert min(sizes) >= SMALL, plot.name
        assert width is not None
        assert float(width[1]) / 72 <= WIDEST + 0.01, plot.name


def test_a_band_needs_two_seeds(full: Results, results_of: Callable[..., Results]) -> None:
    two, one = (draw("accuracy-bytes", combine_results([results_of(seeds=seeds)])) for seeds in ((0, 1), (0,)))
    strategies = 6
    assert len(two.axes[0].collections) == strategies
    assert not one.axes[0].collections
    marked = [line for line in two.axes[0].lines if line.get_marker() not in ("None", "", None)]
    assert len(marked) == strategies, "one line for each, not one for each seed"


def test_bands_differ_by_more_than_their_color(results_of: Callable[..., Results]) -> None:
    """The edges of a band have the dashes of its line, and a bar reaches through each marker from edge to edge."""
    data = combine_results([results_of(seeds=(0, 1))])
    dashed = {label: replace(style, dashes="--") for label, style in data.styles.items()}
    panel = draw("accuracy-bytes", replace(data, styles=dashed)).axes[0]
    for mean in [line for line in panel.lines if line.get_marker() not in ("None", "", None)]:
        of_strategy = [line for line in panel.lines if line.get_color() == mean.get_color() and line is not mean]
        (bars,) = of_strategy
        first, every = mean.get_markevery()
        bands = [band for band in panel.collections if to_hex(band.get_edgecolor()[0]) == to_hex(mean.get_color())]
        (band,) = bands
        assert band.get_linestyle()[0][1] is not None, "dashes"
        border = {tuple(point) for path in band.get_paths() for point in path.vertices.tolist()}
        for ends in (0, 1):
            assert set(zip(bars.get_xdata()[ends::3], bars.get_ydata()[ends::3], strict=True)) <= border
        assert bars.get_xdata()[0::3].tolist() == np.asarray(mean.get_xdata())[first::every].tolist()


def test_every_axis_of_accuracies_has_the_same_scale_and_states_it(full: Results) -> None:
    """Also where nobody reaches 90 %."""
    data = combine_results([full])
    low = replace(data, evals=data.evals.assign(test_accuracy=data.evals["test_accuracy"] * 0.5))
    for item in (data, low):
        panels = draw("accuracy-bytes", item).axes
        assert {panel.get_yscale() for panel in panels} == {"function"}
        assert all(panel.get_ylabel().endswith(WORDS) for panel in panels)
        assert all(len(panel.get_yticks()) > 1 for panel in panels)


def test_the_axis_of_accuracies_covers_targets_and_ignores_one_low_strategy() -> None:
    """A strategy that ends far below the others does not set the axis; one of many bad ones does."""
    curve = np.linspace(0.1, 0.97, 50)
    assert worst_shown_value(curve, [0.96, 0.97, 0.95, 0.96, 0.2], [0.9]) > 0.8
    assert worst_shown_value(curve, [0.96, 0.2, 0.2, 0.2], [0.9]) < 0.2
    assert worst_shown_value(curve, [0.96, 0.97], [0.5]) < 0.5, "every target is within"
    assert worst_shown_value([0.95, 0.97], [0.96, 0.97], [0.5]) == 0.95


def test_strategies_below_the_axis_are_named(full: Results) -> None:
    data = combine_results([full])
    (label,) = (label for label in data.labels if label.startswith("FedAdam"))
    sound = data.evals[data.evals["state"] != "diverged"]
    low = sound.assign(test_accuracy=sound["test_accuracy"].where(sound["label"] != label, 0.1))
    figure = draw("accuracy-bytes", replace(data, evals=low))
    assert f"always below this axis: {label}" in figure.axes[0].get_xlabel().replace("\n", " ")


@pytest.mark.parametrize(("points", "overlaps"), [(9.0, True), (11.0, False)])
def test_markers_of_eight_to_twelve_points_overlap_below_ten(points: float, overlaps: bool) -> None:
    steps = [3.0, 3.0 * 10 ** (points / PANEL[0])]
    shifts = shifts_of([(step, 1e6) for step in steps], (1, 10), (1e5, 1e7), PANEL)
    assert (shifts != [0.0, 0.0]) == overlaps


def test_shifted_markers_keep_their_order_and_stay_apart() -> None:
    middles = (0, 5, 12)
    steps = [3.0 * 10 ** (points / PANEL[0]) for points in middles]
    shifts = shifts_of([(step, 1e6) for step in steps], (1, 10), (1e5, 1e7), PANEL)
    centers = [middle + shift for middle, shift in zip(middles, shifts, strict=True)]
    assert shifts[1] == 0
    assert min(right - left for left, right in pairwise(centers)) >= 10 - 1e-9


@pytest.mark.parametrize("place", [0.0, 0.03, 0.5, 0.98, 1.0])
def test_shifted_markers_are_within_the_panel(place: float) -> None:
    shifts = shifts_of([(10**place, 1e6)] * 5, (1, 10), (1e5, 1e7), PANEL)
    assert shifts[0] == 0
    edges = [place * PANEL[0] + shift for shift in shifts[1:]]
    assert min(edges) >= LARGE / 2
    assert max(edges) <= PANEL[0] - LARGE / 2
    assert min(abs(a - b) for a, b in combinations(shifts, 2)) >= 10


def test_markers_that_do_not_fit_side_by_side_are_as_far_apart_as_possible() -> None:
    shifts = shifts_of([(3.0, 1e6)] * 3, (1, 10), (1e5, 1e7), (15.0, 100.0))
    assert len(set(shifts)) == 3


def test_notes_beside_markers_cover_no_marker_and_no_other_note() -> None:
    """The marker in the middle of three has space above; at the right edge there is space on the left."""
    row = note_offsets([(50, 50), (60, 50), (70, 50)], ["1/3"] * 3, [-10, 0, 10], (160, 125))
    assert [np.sign(offset).tolist() for offset in row] == [[-1, 0], [0, 1], [1, 0]]
    ((x, y),) = note_offsets([(155, 50)], ["1/3"], [0], (160, 125))
    assert x < 0
    assert y == 0


def test_each_marker_of_the_pareto_figure_has_its_own_costs_and_count(full: Results) -> None:
    data = combine_results([full])
    rows = data.outcomes.assign(step=100.0, bytes_total=1e7, reached=data.outcomes["seed"] > 0)
    far = rows["label"].map({label: 1 + 0.01 * i for i, label in enumerate(data.labels)})
    figure = draw("pareto", replace(data, outcomes=rows.assign(bytes_total=1e7 * far)))
    figure.draw_without_rendering()
    for panel in figure.axes:
        bold = [line for line in panel.lines if line.get_markersize() >= 8]
        assert sorted(line.get_ydata()[0] for line in bold) == pytest.approx(sorted(1e7 * far.unique()))
        boxes = [text.get_window_extent() for text in panel.texts if re.fullmatch(r"\d/\d", text.get_text())]
        assert len(boxes) > 3
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
        centers = [line.get_transform().transform(line.get_xydata())[0] for line in bold]
        assert not any(box.contains(*center) for box in boxes for center in centers)


def test_no_two_marks_of_the_pareto_figure_overlap(full: Results) -> None:
    """Every strategy reaches the target at the same step for the same bytes."""
    data = combine_results([full])
    same = data.outcomes.assign(step=100.0, bytes_total=1e7, reached=True)
    figure = draw("pareto", replace(data, outcomes=same))
    figure.draw_without_rendering()
    for panel in figure.axes:
        bold = [line for line in panel.lines if line.get_markersize() >= 8]
        assert len(bold) == same["label"].nunique()
        spots = [line.get_transform().transform(line.get_xydata())[0] for line in bold]
        assert min(np.linalg.norm(a - b) for a, b in combinations(spots, 2)) > figure.dpi * 8 / 72


def test_every_mark_of_the_pareto_figure_is_within_its_panel(full: Results) -> None:
    """Also of a strategy that one seed alone brought there, far from the others."""
    data = combine_results([full])
    rows = data.outcomes.assign(step=100.0, bytes_total=1e7, reached=data.outcomes["label"] != "FedAvg τ=50")
    alone = (rows["label"] == "FedAvg τ=50") & (rows["seed"] == rows["seed"].min())
    far = rows.assign(
        reached=rows["reached"] | alone,
        step=rows["step"].mask(alone, 50_000.0),
        bytes_total=rows["bytes_total"].mask(alone, 3e12),
    )
    figure = draw("pareto", replace(data, outcomes=far))
    figure.draw_without_rendering()
    panels = [panel for panel in figure.axes if panel.lines]
    assert any(max(line.get_xdata()) > 49_000 for panel in panels for line in panel.lines)
    for panel in panels:
        for line in panel.lines:
            low, high = panel.get_xlim()
            assert all(low <= step <= high for step in np.atleast_1d(line.get_xdata()))
            low, high = panel.get_ylim()
            assert all(low <= spent <= high for spent in np.atleast_1d(line.get_ydata()))


def test_the_legend_lists_only_what_is_drawn(full: Results) -> None:
    data = combine_results([full])
    one = data.outcomes.assign(step=100.0, bytes_total=1e7, reached=data.outcomes["label"] == "Synchronous")
    keys = [text.get_text() for text in draw("pareto", replace(data, outcomes=one)).legends[0].get_texts()]
    assert keys == ["Synchronous"]


def test_a_workload_without_a_finished_cell_is_reported(full: Results) -> None:
    data = combine_results([full])
    hard = data.workloads[-1][1]
    gone = data.outcomes.assign(reached=data.outcomes["reached"] & (data.outcomes["workload"] != hard))
    left = replace(data, outcomes=gone)
    assert workloads_without(left) == [hard]
    figure = draw("pareto", left)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert hard in legend.get_title().get_text().replace("\n", " ")
    line = legend.get_title().get_window_extent()
    others = [*legend.get_texts(), *(panel.xaxis.label for panel in figure.axes)]
    assert not any(line.overlaps(text.get_window_extent()) for text in others)
    assert f"Not drawn: {hard}, where no strategy reached a target" in BY_NAME["pareto"].caption(left)
    assert draw("pareto", data).legends[0].get_title().get_text() == ""


def test_bars_of_all_panels_have_one_axis_and_no_bar_within_a_bar(full: Results) -> None:
    data = combine_results([full])
    panels = draw("bytes-to-target", data).axes
    low, high = common_limits(data.at_workload_target)
    assert len(panels) > 1
    for panel in panels:
        assert panel.get_xlim() == pytest.approx((low, high))
        assert len(panel.patches) == len({patch.get_y() for patch in panel.patches})
        assert all(contrast(patch.get_facecolor()[:3]) > 1 for patch in panel.patches)


def test_profiles_are_drawn_from_eight_pairs_on(full: Results, results_of: Callable[..., Results]) -> None:
    few = combine_results([full])
    assert not draws("profile", few)
    assert f"requires {LEAST_PAIRS} pairs" in absence_profile(few)
    assert draws("profile", combine_results([results_of(seeds=range(LEAST_PAIRS))]))


def test_the_page_states_that_a_sweep_is_too_short(full: Results, nothing: Results) -> None:
    why = absence_sweep(combine_results([full]))
    assert why.endswith("requires 3 thetas of one strategy on one workload; these results have 1.")
    assert absence_sweep(combine_results([nothing])) == ""


def test_reasons_are_on_the_page_and_in_the_summary(full: Results, full_report: Any) -> None:
    for name in ("index.html", "summary.md"):
        text = (full_report.folder / name).read_text(encoding="utf-8").replace("\u00a0", " ")
        assert absence_sweep(combine_results([full])) in text
        assert "Performance profiles of the bytes to the target: the figure requires 8 pairs" in text


def test_near_ties_are_not_drawn_as_a_border(full: Results) -> None:
    volumes = combine_results([full]).volumes
    group = next(group for _, group in volumes.groupby(["suite", "workload"]) if group["label"].nunique() > 1)
    close, actual = ties(group), fastest_regions(group)
    assert close.dtype == bool
    assert 0 < TIE < 1
    border = np.zeros_like(close)
    for region in actual.values():
        border[:, 1:] |= region[:, 1:] != region[:, :-1]
    assert (close | ~border).mean() > 0.98, "where the fastest changes, the second is near"


def test_the_figure_of_scaling_shows_single_seeds(results_of: Callable[..., Results]) -> None:
    data = combine_results([results_of(seeds=(0, 1), workers=(2, 4))])
    panel = draw("scaling", data).axes[0]
    single = [line for line in panel.lines if line.get_linestyle() == "None"]
    lines = [line for line in panel.lines if line.get_linestyle() != "None"]
    assert len(single) == len(lines) > 1
    assert all(len(line.get_xdata()) >= len(other.get_xdata()) for line, other in zip(single, lines, strict=True))


@pytest.mark.parametrize("factor", [1.0, 1.6, 30.0])
def test_estimates_above_theta_are_within_the_panel_or_marked(full: Results, factor: float) -> None:
    data = combine_results([full])
    rounds = data.rounds[data.rounds["theta"] > 0]
    theta = float(rounds["theta"].max())
    trace = data.trace.assign(estimate=factor * theta)
    figure = draw("sync-timeline", replace(data, trace=trace))
    panels = [panel for panel in figure.axes if panel.get_ylabel() == "estimate"]
    assert panels
    for panel in panels:
        top = panel.get_ylim()[1]
        marks = [line for line in panel.lines if line.get_marker() == "^"]
        assert (factor * theta <= top) == (not marks)
        assert any(f"▲ up to {factor * theta:.0f}" in text.get_text() for text in panel.texts) == bool(marks)
        assert all(max(line.get_ydata()) < top for line in marks)


def test_of_many_strategies_the_timeline_shows_those_whose_syncs_depend_on_the_data(
    full: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = combine_results([full])
    everything = list(chosen_cells(data)["monitor"])
    monkeypatch.setattr("fdabench.report.figures.timeline.MOST_CELLS", 4)
    actual = list(chosen_cells(data)["monitor"])
    assert "" in everything[: everything.index("naive")]
    assert actual == ["", "naive", "linear", "sketch"]


def test_variances_of_rounding_have_a_short_label(full: Results) -> None:
    data = combine_results([full])
    small = {"rounds": data.rounds.assign(variance=7.1e-16), "evals": data.evals.assign(variance=7.1e-16)}
    figure = draw("sync-timeline", replace(data, **small))
    labels = [
        label.get_text()
        for panel in figure.axes
        if panel.get_ylabel() == "variance"
        for label in panel.get_yticklabels()
    ]
    assert {"0", "7.1e-16"} == set(labels)


def test_bounds_are_slim_arrows_without_text(full: Results) -> None:
    figure = draw("heterogeneity", combine_results([full]))
    assert not any("≥" in text.get_text() for panel in figure.axes for text in panel.texts)
    assert "arrow upwards" in BY_NAME["heterogeneity"].caption(combine_results([full]))
