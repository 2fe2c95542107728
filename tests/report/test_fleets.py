"""Time to the target on fleets in reports, on results made by hand."""

from pathlib import Path

import pytest

from fdabench.accounting.fleets import FLEETS
from fdabench.analysis.data import ReportData, combine_results
from fdabench.report.build import build_report
from fdabench.report.figures.barrier import BARRIER, JITTER, SIGMAS, fastest_by_jitter, jitter_curves
from fdabench.report.page.render import house_style
from fdabench.report.tables.fleets import fleet_tables, fleets_frame
from fdabench.report.tables.times import times_frame
from fdabench.results.load import load
from support.lenet5_results import WORKERS, SyntheticCell, write_lenet5_results

STEP_S = 1.0 / (375 * WORKERS)
SYNCHRONOUS = {"kind": "synchronous"}
MANY = SyntheticCell([(375, 0.99, 375)], tuple(range(1, 375)), label="Synchronous", strategy=SYNCHRONOUS, state=0)
FEW = SyntheticCell([(375, 0.99, 3)], (100, 200))
EQUAL = {"name": "equal", "bandwidth_mbps": 100.0, "latency_ms": 40.0}
JITTERY = EQUAL | {"name": "jittery", "step": {"kind": "lognormal", "sigma": 0.6}}


def data_of(root: Path, *fleets: object, cells: tuple[SyntheticCell, ...] = (MANY, FEW)) -> ReportData:
    lock = {"fleet": list(fleets)} if fleets else {}
    return combine_results([load(write_lenet5_results(root / "fleets", cells, **lock))])


def test_equal_machines_take_the_time_of_the_network(tmp_path: Path) -> None:
    data = data_of(tmp_path, EQUAL)
    networks = times_frame(data).set_index(["strategy", "network"])["seconds"].xs("wan-100Mbps-40ms", level="network")
    fleets = fleets_frame(data).set_index("strategy")
    for label in ("Synchronous", "LinearFDA"):
        assert fleets.loc[label, "seconds"] == pytest.approx(networks[label], rel=1e-9)
        assert fleets.loc[label, "waiting_share"] == pytest.approx(0, abs=1e-9)
        assert fleets.loc[label, "compute_share"] == pytest.approx(375 * STEP_S / networks[label])


def test_jitter_makes_every_strategy_with_a_barrier_at_each_step_wait_alike(tmp_path: Path) -> None:
    """FDA tells its state at every step, so its workers wait as those of Synchronous do."""
    frame = fleets_frame(data_of(tmp_path, EQUAL, JITTERY)).set_index(["fleet", "strategy"])["seconds"]
    waits = {label: frame["jittery", label] - frame["equal", label] for label in ("Synchronous", "LinearFDA")}
    # the target is reached before the sync of step 375; both have met 374 or 375 barriers until then
    assert waits["LinearFDA"] == pytest.approx(waits["Synchronous"], rel=1e-9)
    assert waits["LinearFDA"] > 375 * STEP_S


def test_the_table_shows_shares_and_the_fastest(tmp_path: Path) -> None:
    (table,) = fleet_tables(data_of(tmp_path, EQUAL, JITTERY))
    assert list(table.frame["fleet"]) == ["equal", "equal", "jittery", "jittery"]
    assert (table.frame.groupby("fleet")["times_fastest"].min() == 1).all()
    assert table.frame["seconds"].tolist() == sorted(table.frame["seconds"][:2]) + sorted(table.frame["seconds"][2:])


def test_without_a_fleet_the_report_has_neither_table_nor_figures(tmp_path: Path) -> None:
    data = data_of(tmp_path)
    assert fleet_tables(data) == []
    assert BARRIER.draw(data) is None
    assert JITTER.draw(data) is None


def test_a_fleet_of_the_user_is_added_to_those_of_the_suite(tmp_path: Path) -> None:
    results = [load(write_lenet5_results(tmp_path / "fleets", (MANY, FEW), fleet=[EQUAL]))]
    written = build_report(results, tmp_path / "report", fleets={"devices": FLEETS["devices"]})
    names = {path.name for path in written}
    assert {"fleets.csv", "barrier.svg", "jitter.svg"} <= names
    text = (tmp_path / "report" / "tables" / "fleets.csv").read_text(encoding="utf-8")
    assert all(f",{fleet}," in text for fleet in ("equal", "devices"))


def test_the_curves_begin_at_one_and_rise(tmp_path: Path) -> None:
    data = data_of(tmp_path, EQUAL)
    for curve in jitter_curves(data, data.demands).values():
        assert curve[0] == pytest.approx(1)
        assert (curve[1:] > curve[:-1]).all()
        assert len(curve) == len(SIGMAS)


def test_the_map_covers_the_plane_once(tmp_path: Path) -> None:
    """On a slow network FDA's fewer bytes decide; on a fast one the strategies are close."""
    data = data_of(tmp_path, EQUAL)
    found = fastest_by_jitter(data, data.demands)
    assert sum(region.astype(int) for region in found.values()).min() == 1
    assert sum(region.astype(int) for region in found.values()).max() == 1
    assert found["LinearFDA"][:, 0].all()
    with house_style():
        for spec in (BARRIER, JITTER):
            assert spec.draw(data) is not None
            assert spec.caption(data)
