"""Time to the target on networks and fleets, and the fastest strategy of each, on results made by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from fdabench.accounting.fleets import FLEETS
from fdabench.analysis.data import ReportData, combine_results
from fdabench.analysis.order import NOT_KEPT
from fdabench.formatting import format_duration
from fdabench.report.build import build_report
from fdabench.report.figures.barrier import BARRIER, JITTER, SIGMAS, fastest_by_jitter, jitter_curves
from fdabench.report.figures.crossover import (
    BANDWIDTHS,
    CROSSOVER,
    LATENCIES,
    MapGrid,
    draw_regions,
    fastest_regions,
    label_regions,
)
from fdabench.report.figures.plot import FigureSpec
from fdabench.report.page.render import house_style
from fdabench.report.tables.fleets import fleet_tables, fleets_frame
from fdabench.report.tables.times import fastest, times_frame, times_tables
from fdabench.results.load import load
from support.lenet5_results import MODEL_BYTES, WORKERS, SyntheticCell, write_lenet5_results

STEP_S = 1.0 / (375 * WORKERS)
SYNCHRONOUS = {"kind": "synchronous"}
# every cell below has 375 steps in one second, so a step of a worker takes 1 / 3,750 s
MANY = SyntheticCell([(375, 0.99, 375)], tuple(range(1, 375)), label="Synchronous", strategy=SYNCHRONOUS, state=0)
FEW = SyntheticCell([(375, 0.99, 3)], (100, 200))
OWN = {"name": "slow", "bandwidth_mbps": 8e-6, "latency_ms": 0.0, "shared": True}


def data_of(root: Path, *cells: SyntheticCell) -> ReportData:
    return combine_results([load(write_lenet5_results(root / "times", cells, network=[OWN]))])


def test_seconds_by_hand_on_a_network_that_the_suite_defines(tmp_path: Path) -> None:
    """8 bits a second in one channel: as many seconds as bytes."""
    frame = times_frame(data_of(tmp_path, MANY, FEW)).set_index(["strategy", "network"])["seconds"]
    few = 3 * 2 * WORKERS * MODEL_BYTES + 375 * 8 * WORKERS
    assert frame["LinearFDA", "slow"] == pytest.approx(few + 375 * STEP_S)
    assert frame["Synchronous", "slow"] == pytest.approx(375 * 2 * WORKERS * MODEL_BYTES + 375 * STEP_S)
    # 375 states, two syncs and the distribution wait for 80 ms each; of Synchronous 374 syncs and the distribution
    wan = frame.xs("wan-100Mbps-40ms", level="network")
    assert wan["LinearFDA"] == pytest.approx(378 * 0.08 + 8 * few / WORKERS / 100e6 + 375 * STEP_S)


def test_the_table_marks_the_fastest_strategy_of_each_network_and_of_fda(tmp_path: Path) -> None:
    actual = fastest(times_frame(data_of(tmp_path, MANY, FEW))).set_index("network")
    assert actual.loc["slow", "fastest"] == "LinearFDA"
    assert set(actual["fastest_fda"]) == {"LinearFDA"}
    assert actual.loc["slow", "reference_seconds"] > 100 * actual.loc["slow", "seconds"]


def test_a_strategy_that_missed_the_target_is_not_in_the_tables(tmp_path: Path) -> None:
    never = SyntheticCell([(375, 0.5, 3)], (100, 200))
    assert set(times_frame(data_of(tmp_path, MANY, never))["strategy"]) == {"Synchronous"}
    assert times_tables(data_of(tmp_path / "none", never)) == []


def test_the_map_agrees_with_the_seconds_at_its_corners(tmp_path: Path) -> None:
    data = data_of(tmp_path, MANY, FEW)
    actual = fastest_regions(data.volumes)
    assert actual["LinearFDA"][0, 0]
    # Synchronous waits 375 times, FDA 378 times
    assert actual["Synchronous"][-1, -1]
    assert (actual["LinearFDA"] ^ actual["Synchronous"]).all()
    with house_style():
        figure = CROSSOVER.draw(data)
    assert figure is not None
    assert figure.axes[0].get_xlabel() == "bandwidth of each worker's link"


def test_each_region_has_a_name_and_a_narrow_region_an_arrow() -> None:
    wide, narrow = np.ones((111, 111), dtype=bool), np.zeros((111, 111), dtype=bool)
    narrow[:, 50:52] = True
    figure = Figure()
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    grid = MapGrid(BANDWIDTHS, LATENCIES)
    label_regions(axes, grid, {"wide": wide & ~narrow, "narrow": narrow}, np.zeros_like(narrow))
    inside, beside, arrow = axes.texts
    assert [inside.get_text(), beside.get_text(), arrow.get_text()] == ["wide", "narrow", ""]
    assert isinstance(arrow, Annotation)
    assert BANDWIDTHS[50] <= arrow.xy[0] <= BANDWIDTHS[51]
    assert arrow.get_position() == beside.get_position()
    assert arrow.get_zorder() < inside.get_zorder(), "an arrow crosses no label"
    figure.draw_without_rendering()
    assert not inside.get_window_extent().overlaps(Text.get_window_extent(beside))


def test_ties_keep_the_hatch_of_their_region() -> None:
    """The whole map is a tie; its regions have faint colors, but not white."""
    left = np.zeros((111, 111), dtype=bool)
    left[:, :50] = True
    axes = Figure().subplots()
    regions = {"left": (left, ("#ff0000", "///")), "right": (~left, ("#0000ff", "xxx"))}
    draw_regions(axes, MapGrid(BANDWIDTHS, LATENCIES), regions, np.ones_like(left))
    areas = [area for area in axes.collections if isinstance(area, QuadContourSet) and area.filled]
    assert [area.hatches for area in areas] == [["///"], ["xxx"]]
    colors = [tuple(area.get_facecolor()[0]) for area in areas]
    assert len(set(colors)) == 2
    assert (1.0, 1.0, 1.0, 1.0) not in colors


@pytest.mark.parametrize("plot", [CROSSOVER, JITTER], ids=lambda plot: plot.name)
def test_maps_name_the_strategies_in_their_regions(plot: FigureSpec, tmp_path: Path) -> None:
    data = fleet_data_of(tmp_path, EQUAL)
    with house_style():
        figure = plot.draw(data)
    assert figure is not None
    (group,) = [group for _, group in data.volumes.groupby("workload")]
    winners = fastest_regions(group) if plot is CROSSOVER else fastest_by_jitter(data, group)
    assert winners
    assert set(winners) <= {text.get_text() for text in figure.axes[0].texts}


@pytest.mark.parametrize("plot", [CROSSOVER, JITTER], ids=lambda plot: plot.name)
@pytest.mark.parametrize("column", ["unsent", "lost"])
def test_maps_leave_out_a_strategy_that_did_not_keep_the_target(plot: FigureSpec, column: str, tmp_path: Path) -> None:
    """It would be the fastest of all on slow links."""
    third = SyntheticCell(
        [(375, 0.99, 38)], tuple(range(10, 375, 10)), label="FedAvg", strategy={"kind": "fedavg"}, state=0
    )
    data = fleet_data_of(tmp_path, EQUAL, cells=(MANY, FEW, third))
    outcomes = data.outcomes
    actual = replace(data, outcomes=outcomes.assign(**{column: outcomes["label"] == "LinearFDA"}))
    assert set(data.kept_volumes["label"]) == {"Synchronous", "LinearFDA", "FedAvg"}
    assert set(actual.kept_volumes["label"]) == {"Synchronous", "FedAvg"}
    with house_style():
        figures = plot.draw(data), plot.draw(actual)
    with_it, without = [{text.get_text() for text in figure.axes[0].texts} for figure in figures if figure is not None]
    assert "LinearFDA" in with_it - without
    assert "FedAvg" in without
    assert "Left out" not in plot.caption(data)
    assert plot.caption(actual).endswith(f"{NOT_KEPT}: LinearFDA (1 workload).")


def test_a_single_strategy_has_no_map(tmp_path: Path) -> None:
    assert CROSSOVER.draw(data_of(tmp_path, FEW)) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00402, "4.02 ms"), (4.13, "4.13 s"), (1650, "27.5 min"), (7200, "2.00 h"), (1e9, "11,574 d")],
)
def test_durations_are_written_in_a_suitable_unit(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


EQUAL = {"name": "equal", "bandwidth_mbps": 100.0, "latency_ms": 40.0}
JITTERY = EQUAL | {"name": "jittery", "step": {"kind": "lognormal", "sigma": 0.6}}


def fleet_data_of(root: Path, *fleets: object, cells: tuple[SyntheticCell, ...] = (MANY, FEW)) -> ReportData:
    lock = {"fleet": list(fleets)} if fleets else {}
    return combine_results([load(write_lenet5_results(root / "fleets", cells, **lock))])


def test_equal_machines_take_the_time_of_the_network(tmp_path: Path) -> None:
    data = fleet_data_of(tmp_path, EQUAL)
    networks = times_frame(data).set_index(["strategy", "network"])["seconds"].xs("wan-100Mbps-40ms", level="network")
    fleets = fleets_frame(data).set_index("strategy")
    for label in ("Synchronous", "LinearFDA"):
        assert fleets.loc[label, "seconds"] == pytest.approx(networks[label], rel=1e-9)
        assert fleets.loc[label, "waiting_share"] == pytest.approx(0, abs=1e-9)
        assert fleets.loc[label, "compute_share"] == pytest.approx(375 * STEP_S / networks[label])


def test_jitter_gives_strategies_with_a_barrier_at_each_step_equal_waiting(tmp_path: Path) -> None:
    """FDA tells its state at every step, so its workers wait as those of Synchronous do."""
    frame = fleets_frame(fleet_data_of(tmp_path, EQUAL, JITTERY)).set_index(["fleet", "strategy"])["seconds"]
    waits = {label: frame["jittery", label] - frame["equal", label] for label in ("Synchronous", "LinearFDA")}
    # the target is reached before the sync of step 375; both have met 374 or 375 barriers until then
    assert waits["LinearFDA"] == pytest.approx(waits["Synchronous"], rel=1e-9)
    assert waits["LinearFDA"] > 375 * STEP_S


def test_the_table_shows_shares_and_the_fastest(tmp_path: Path) -> None:
    (table,) = fleet_tables(fleet_data_of(tmp_path, EQUAL, JITTERY))
    assert list(table.frame["fleet"]) == ["equal", "equal", "jittery", "jittery"]
    assert (table.frame.groupby("fleet")["times_fastest"].min() == 1).all()
    assert table.frame["seconds"].tolist() == sorted(table.frame["seconds"][:2]) + sorted(table.frame["seconds"][2:])


def test_without_a_fleet_the_report_has_neither_table_nor_figures(tmp_path: Path) -> None:
    data = fleet_data_of(tmp_path)
    assert fleet_tables(data) == []
    assert BARRIER.draw(data) is None
    assert JITTER.draw(data) is None


@pytest.mark.slow
def test_a_fleet_of_the_user_is_added_to_those_of_the_suite(tmp_path: Path) -> None:
    results = [load(write_lenet5_results(tmp_path / "fleets", (MANY, FEW), fleet=[EQUAL]))]
    written = build_report(results, tmp_path / "report", fleets={"devices": FLEETS["devices"]})
    names = {path.name for path in written}
    assert {"fleets.csv", "barrier.svg", "jitter.svg"} <= names
    text = (tmp_path / "report" / "tables" / "fleets.csv").read_text(encoding="utf-8")
    assert all(f",{fleet}," in text for fleet in ("equal", "devices"))


def test_the_curves_begin_at_one_and_rise(tmp_path: Path) -> None:
    data = fleet_data_of(tmp_path, EQUAL)
    for curve in jitter_curves(data, data.volumes).values():
        assert curve[0] == pytest.approx(1)
        assert (curve[1:] > curve[:-1]).all()
        assert len(curve) == len(SIGMAS)


def test_the_map_covers_the_plane_once(tmp_path: Path) -> None:
    """On a slow network FDA's fewer bytes decide; on a fast one the strategies are close."""
    data = fleet_data_of(tmp_path, EQUAL)
    actual = fastest_by_jitter(data, data.volumes)
    assert sum(region.astype(int) for region in actual.values()).min() == 1
    assert sum(region.astype(int) for region in actual.values()).max() == 1
    assert actual["LinearFDA"][:, 0].all()
    with house_style():
        for spec in (BARRIER, JITTER):
            assert spec.draw(data) is not None
            assert spec.caption(data)


def test_both_figures_use_the_same_computed_curves(tmp_path: Path) -> None:
    data = fleet_data_of(tmp_path, EQUAL)
    first = jitter_curves(data, data.volumes)
    fastest_by_jitter(data, data.volumes)
    assert jitter_curves(data, data.volumes) is first
    assert jitter_curves(data, data.volumes[data.volumes["label"] == "LinearFDA"]).keys() == {"LinearFDA"}


@pytest.mark.slow
def test_the_first_screen_has_the_time_on_a_named_network_and_fleet(tmp_path: Path) -> None:
    results = [load(write_lenet5_results(tmp_path / "named", (MANY, FEW), fleet=[EQUAL], network=[OWN]))]
    build_report(results, tmp_path / "report")
    text = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    screen = text[text.index('id="conclusion-title"') : text.index('id="caveats"')]
    assert "Modeled time on fleet equal: " in screen
    seconds = times_frame(combine_results(results)).set_index(["strategy", "network"])["seconds"]
    fast, slow = seconds["LinearFDA", "slow"], seconds["Synchronous", "slow"]
    output = f"LinearFDA {format_duration(fast)} to the target, Synchronous {format_duration(slow)}"
    plain = screen.replace("\u00a0", " ").replace("&nbsp;", " ")
    assert f"Modeled time on network slow: {output}" in plain
    assert "Modeled time" not in (page_without_names(tmp_path))


def page_without_names(root: Path) -> str:
    build_report([load(write_lenet5_results(root / "plain", (MANY, FEW)))], root / "plain-report")
    return (root / "plain-report" / "summary.md").read_text(encoding="utf-8")
