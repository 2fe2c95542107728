"""Every figure is drawn from its data, and is None without data."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text

from fdabench.accounting.fleets import FLEETS
from fdabench.analysis.data import ReportData, combine_results
from fdabench.cell_config import ComponentConfig
from fdabench.registry.registry import BUILT_IN
from fdabench.report.figures import PLOTS
from fdabench.report.figures.canvas import GREY, number_axis
from fdabench.report.figures.error_scale import accuracy_axis
from fdabench.report.figures.estimate import estimate_pairs
from fdabench.report.figures.plot import FigureSpec
from fdabench.report.figures.tags import number_tags, strategy_tag
from fdabench.report.page.render import house_style
from fdabench.results.load import Results
from fdabench.results.names import strategy_family
from fdabench.style.plot_style import assign_styles
from support.components import COLOR_MARKERS
from support.recorded_syncs import with_recorded_syncs

MACHINES = {"devices": FLEETS["devices"]}
BY_NAME = {plot.name: plot for plot in PLOTS}
LONG = " with all that somebody wished to say of it at once, lr=0.001, momentum=0.9, and a thing or two more"
# of results that the full set is not; they have tests of their own
ELSEWHERE = ("published", "theta-sweep", "scaling", "profile", "round-length", "theta", "residuals")


@pytest.mark.parametrize("plot", [plot for plot in PLOTS if plot.name not in ELSEWHERE], ids=lambda plot: plot.name)
def test_every_figure_is_drawn_for_full_results_and_none_for_empty_results(
    plot: FigureSpec, full: Results, nothing: Results
) -> None:
    with house_style():
        assert plot.draw(combine_results([full], MACHINES)) is not None
        assert plot.draw(combine_results([nothing], MACHINES)) is None
    assert len(plot.caption(combine_results([full], MACHINES))) > 60


@pytest.mark.parametrize("name", ["round-length", "theta", "residuals"])
def test_figures_of_syncs_show_strategies_with_recorded_syncs(name: str, full: Results) -> None:
    data = combine_results([full])
    assert BY_NAME[name].draw(data) is None
    figure = laid_out(BY_NAME[name], with_recorded_syncs(data)[name])
    assert len(BY_NAME[name].caption(with_recorded_syncs(data)[name])) > 60
    texts = [text for key in figure.legends for text in key.get_texts()]
    shown = {text.get_text() for text in texts}
    # only FDA has a theta, and only FDA's rounds differ in length
    assert ("FedAvg τ=50" in shown) == (name == "residuals")
    assert "LinearFDA θ=1" in shown
    assert [text.get_text() for text in texts if not within(figure, text)] == []


def test_lines_of_predicted_slopes_have_these_slopes(full: Results) -> None:
    figure = laid_out(BY_NAME["round-length"], with_recorded_syncs(combine_results([full]))["round-length"])
    for axes in figure.axes:
        actual = [line.get_xydata() for line in axes.lines if line.get_color() == GREY]
        slopes = [math.log(b[1] / a[1]) / math.log(b[0] / a[0]) for a, b in actual]
        assert slopes == pytest.approx([-2, -1])


def test_markers_of_estimates_look_as_in_the_legend(full: Results) -> None:
    data = combine_results([full])
    without_syncs = replace(data, rounds=data.rounds.assign(variance=math.nan))
    for results, expected in (
        (data, {"at a sync": "full", "at an evaluation": "none"}),
        (without_syncs, {"at an evaluation": "none"}),
    ):
        figure = laid_out(BY_NAME["estimate-variance"], results)
        entries = {str(line.get_label()): line for line in figure.legends[0].get_lines()}
        del entries["estimate = variance"]
        assert {label: line.get_fillstyle() for label, line in entries.items()} == expected
        panel_lines = [
            line for axes in figure.axes for line in axes.lines if line.get_marker() != "None" and len(line.get_xdata())
        ]
        assert {line.get_fillstyle() for line in panel_lines} == set(expected.values())
        filled = [line for line in (*panel_lines, *entries.values()) if line.get_fillstyle() == "full"]
        # a transparent interior of small markers looks hollow
        assert all(to_rgba(line.get_markerfacecolor())[3] == 1 for line in filled)


class Lagged(NamedTuple):
    """The table of a strategy, with a lag."""

    table: dict[str, object]

    def to_table(self) -> dict[str, object]:
        return self.table | {"lag": 5}


def test_estimates_of_an_earlier_step_are_not_compared_with_the_variance(full: Results) -> None:
    data = combine_results([full])
    pairs = estimate_pairs(data)
    cell = str(pairs["cell_id"].iloc[0])
    lagged = data.configs[cell].model_copy(update={"strategy": Lagged(data.configs[cell].strategy.to_table())})
    actual = replace(data, configs={**data.configs, cell: lagged})
    assert set(estimate_pairs(actual)["cell_id"]) == set(pairs["cell_id"]) - {cell}
    caption = BY_NAME["estimate-variance"].caption
    assert ("`lag`" in caption(data), "`lag`" in caption(actual)) == (False, True)


def test_bars_of_costs_mark_misses(full: Results) -> None:
    with house_style():
        figure = BY_NAME["bytes-to-target"].draw(combine_results([full]))
    assert figure is not None
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert any(word.startswith("≥ ") and "0/3" in word for word in words)
    assert any(patch.get_hatch() for axes in figure.axes for patch in axes.patches)


def test_the_pareto_figure_names_absent_strategies(full: Results) -> None:
    with house_style():
        figure = BY_NAME["pareto"].draw(combine_results([full]))
    assert figure is not None
    assert "not reached by FedAdam" in figure.axes[0].get_xlabel()


def not_kept_by(label: str, data: ReportData) -> ReportData:
    outcomes = data.outcomes
    return replace(data, outcomes=outcomes.assign(lost=outcomes["reached"] & (outcomes["label"] == label)))


def test_bars_and_seeds_of_costs_show_that_a_target_was_not_kept(full: Results) -> None:
    data = combine_results([full])
    label = str(data.volumes["label"].iloc[0])
    plot = BY_NAME["bytes-to-target"]
    hatches, markers = [], []
    for version in (data, not_kept_by(label, data)):
        with house_style():
            figure = plot.draw(version)
        assert figure is not None
        hatches.append({patch.get_hatch() for axes in figure.axes for patch in axes.patches})
        markers.append({str(line.get_marker()) for axes in figure.axes for line in axes.lines if len(line.get_xdata())})
    assert hatches[1] - hatches[0] == {"..."}
    assert markers[1] - markers[0] == {"D"}
    assert " Not kept: " not in plot.caption(data)
    assert " Not kept: " in plot.caption(not_kept_by(label, data))


def test_the_pareto_frontier_has_only_strategies_that_kept_the_target(full: Results) -> None:
    data, plot = combine_results([full]), BY_NAME["pareto"]
    hits = data.at_workload_target.query("reached")
    cheapest = str(hits.groupby("label")["bytes_total"].median().idxmin())
    frontiers = []
    for version in (data, not_kept_by(cheapest, data)):
        with house_style():
            figure = plot.draw(version)
        assert figure is not None
        name = figure.axes[0].get_xlabel().replace("\xa0", " ").partition("not kept by ")[2]
        assert name == ("" if version is data else cheapest)
        assert ("not kept: " in plot.caption(version)) == (version is not data)
        frontiers.append([line for line in figure.axes[0].lines if line.get_drawstyle() == "steps-post"])
    (frontier,), others = frontiers
    assert others == [] or min(others[0].get_ydata()) > min(frontier.get_ydata())


def test_heterogeneity_needs_more_than_one_alpha(results_of: Callable[..., Results]) -> None:
    assert BY_NAME["heterogeneity"].draw(combine_results([results_of(seeds=(0,))])) is None


def test_iid_is_the_rightmost_value(full: Results) -> None:
    with house_style():
        figure = BY_NAME["heterogeneity"].draw(combine_results([full]))
    assert figure is not None
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["0.1", "IID"]


def test_no_two_strategies_share_a_color_or_a_marker() -> None:
    labels = {f"{name} θ={theta}": name for name in ("LinearFDA", "SketchFDA", "Kamp", "Gossip") for theta in range(5)}
    styles = assign_styles(labels, COLOR_MARKERS)
    assert len({(style.marker, style.fill) for style in styles.values()}) == len(labels)
    assert len({style.color for style in styles.values()}) == len(labels)


@pytest.mark.parametrize(
    ("strategy", "monitor", "family"),
    [
        ("fda", "linear", "LinearFDA"),
        ("fda", "sketch", "SketchFDA"),
        ("fda", "gm", "GmFDA"),
        ("fedavg", "", "FedAvg"),
        ("kamp", "", "kamp"),
    ],
)
def test_the_family_of_a_strategy_has_its_monitor(strategy: str, monitor: str, family: str) -> None:
    table = {"kind": strategy} | ({"monitor": {"kind": monitor}} if monitor else {})
    assert strategy_family(ComponentConfig.from_table(table), BUILT_IN.info) == family


def laid_out(plot: FigureSpec, data: ReportData) -> Figure:
    """Lay out a figure as for its files; a warning of the layout fails the test."""
    with house_style():
        figure = plot.draw(data)
    assert figure is not None
    figure.draw_without_rendering()
    return figure


def relabeled(data: Any, suffix: str) -> Any:
    """The same results with longer names of the strategies."""
    return replace(
        data,
        styles={label + suffix: style for label, style in data.styles.items()},
        **{
            name: getattr(data, name).assign(label=getattr(data, name)["label"] + suffix)
            for name in ("runs", "evals", "rounds", "outcomes")
        },
    )


@pytest.mark.parametrize("plot", [plot for plot in PLOTS if plot.name not in ELSEWHERE], ids=lambda plot: plot.name)
def test_a_very_long_label_is_complete_and_within_the_figure(plot: FigureSpec, full: Results) -> None:
    figure = laid_out(plot, relabeled(combine_results([full], MACHINES), LONG))
    labels = [text for text in figure.findobj(Text) if text.get_visible() and "somebody" in text.get_text()]
    assert [text.get_text() for text in labels if not within(figure, text)] == []
    assert not any(a.get_window_extent().overlaps(b.get_window_extent()) for a, b in combinations(labels, 2))


@pytest.mark.parametrize("plot", [plot for plot in PLOTS if plot.name not in ELSEWHERE], ids=lambda plot: plot.name)
def test_titles_of_several_suites_do_not_overlap(plot: FigureSpec, full: Results) -> None:
    names = ("a-suite-with-a-long-name-of-its-own", "another-suite-with-a-name-that-is-as-long")
    figure = laid_out(
        plot,
        combine_results([replace(full, lock=full.lock.with_changes({"suite": name})) for name in names], MACHINES),
    )
    titles = [axes.title for axes in figure.axes if axes.title.get_text()]
    assert [title.get_text() for title in titles if not within(figure, title)] == []
    assert not any(a.get_window_extent().overlaps(b.get_window_extent()) for a, b in combinations(titles, 2))


def test_a_label_of_several_lines_is_hidden_as_a_whole(full: Results) -> None:
    figure = laid_out(BY_NAME["pareto"], relabeled(combine_results([full]), LONG))
    number_tags(figure)
    (key,) = [text for text in figure.legends[0].get_texts() if text.get_text().startswith("Synchronous")]
    assert "\n" in key.get_text()
    assert str(key.get_gid()).startswith(strategy_tag("Synchronous" + LONG))


def within(figure: Figure, text: Text) -> bool:
    box = text.get_window_extent()
    return bool(box.x0 > -1 and box.y0 > -1 and box.x1 < figure.bbox.x1 + 1 and box.y1 < figure.bbox.y1 + 1)


@pytest.mark.parametrize("times", [1, 40, 1000])
def test_numbers_on_a_heat_map_stay_in_their_cells(full: Results, times: int) -> None:
    data = combine_results([full])
    figure = laid_out(
        BY_NAME["partitions"], replace(data, partition=data.partition.assign(samples=data.partition["samples"] * times))
    )
    axes = figure.axes[0]
    width = axes.bbox.width / (axes.get_xlim()[1] - axes.get_xlim()[0])
    assert bool(axes.texts) == (times < 1000)
    assert all(text.get_window_extent().width < width for text in axes.texts)


def test_the_scale_of_a_heat_map_has_commas_between_thousands(full: Results) -> None:
    data = combine_results([full])
    scaled = data.partition.assign(samples=data.partition["samples"] * 1000)
    figure = laid_out(BY_NAME["partitions"], replace(data, partition=scaled))
    texts = [
        text.get_text() for axes in figure.axes if axes.get_ylabel() == "samples" for text in axes.get_yticklabels()
    ]
    assert any("," in text for text in texts)
    assert all(re.fullmatch(r"\d{1,3}(,\d{3})*", text) for text in texts)


def test_line_styles_are_distinguishable_in_the_legend(full: Results) -> None:
    """Each half of a dash-dotted line, left and right of the marker, has space for a dash and a dot."""
    data = combine_results([full])
    dashed = {label: replace(style, dashes="-.") for label, style in data.styles.items()}
    figure = laid_out(BY_NAME["accuracy-bytes"], replace(data, styles=dashed))
    for line in figure.legends[0].get_lines():
        length = line.get_window_extent().width * 72 / figure.dpi
        dash_and_dot = (6.4 + 1.6 + 1) * line.get_linewidth()
        assert (length - line.get_markersize()) / 2 > dash_and_dot
    assert all(within(figure, text) for text in figure.legends[0].get_texts())


def test_bars_have_the_same_thickness_in_every_panel(full: Results) -> None:
    data = combine_results([full])
    first = data.workloads[0][1]
    few = (data.outcomes["workload"] == first) & (data.outcomes["label"] != "Synchronous")
    figure = laid_out(BY_NAME["bytes-to-target"], replace(data, outcomes=data.outcomes[~few]))
    thick = [axes.patches[0].get_window_extent().height for axes in figure.axes]
    assert len(thick) == 2
    assert thick[0] == pytest.approx(thick[1], rel=0.02)


@pytest.mark.parametrize("target", [0.95, 0.99, 0.999, 0.9999])
@pytest.mark.parametrize("low", [0.1, 0.5, 0.9, 0.98])
def test_tick_labels_of_accuracies_do_not_overlap(low: float, target: float) -> None:
    with house_style():
        figure = Figure(figsize=(3.1, 2.2))
        axes = figure.subplots()
        accuracy_axis(axes, [low, 0.985], [target])
        figure.draw_without_rendering()
        bottom, top = axes.get_ylim()
        ticks = zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
        boxes = [tick.get_window_extent() for tick, place in ticks if bottom <= place <= top]
    assert boxes
    assert not any(below.overlaps(above) for below, above in pairwise(boxes))


@pytest.mark.parametrize("limits", [(0.4, 1.3), (0.001, 20.0), (1.7, 2.2), (3.0, 4000.0)])
def test_tick_labels_of_numbers_are_distinct(limits: tuple[float, float]) -> None:
    figure = Figure()
    axes = figure.subplots()
    number_axis(axes.xaxis, limits)
    figure.draw_without_rendering()
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert len(labels) > 1
    assert all(a != b for a, b in pairwise(labels))


def test_strategies_with_zero_costs_are_drawn_or_left_out(results_of: Callable[..., Results]) -> None:
    """One worker in a ring sends nothing: there is no place for that on a log scale."""
    data = combine_results([results_of(workers=(1,), convention="ring")])
    assert (data.at_workload_target["cost_bytes"] == 0).all()
    there = {plot.name for plot in PLOTS if plot.draw(data) is not None}
    for name in there:
        laid_out(BY_NAME[name], data)
    assert there & {"pareto", "profile", "accuracy-bytes"} == set()
    bars = laid_out(BY_NAME["bytes-to-target"], data)
    assert any(text.get_text().startswith(" 0 B, 3/3") for text in bars.axes[0].texts)


def test_a_figure_of_a_single_cell_is_drawn(one_cell: Results) -> None:
    data = combine_results([one_cell])
    for plot in PLOTS:
        with house_style():
            samples = plot.draw(data) is not None
        if samples:
            assert "1 cells" not in plot.caption(data)
