"""The time of a forecast on a fleet, against the time of ledgers and against closed forms."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fdabench.accounting.costs import Message
from fdabench.accounting.fleets import Fleet, Links
from fdabench.accounting.step_time import Constant, Exponential, Lognormal
from fdabench.cli.main import app
from fdabench.core.strategy import MeansForecast, TrafficForecast
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.planning.fleet_forecast import MOST_DRAWS, planned_seconds, seconds_on_fleet
from fdabench.planning.forecast import Forecast, RunSize
from fdabench.suite.reader import read_suite
from support.suites import FEDAVG, digits_suite, linear_fda

FREE = Links((float("inf"),))


def forecast_of(workers: int, steps: int, syncs: int, states: int = 0, convention: str = "star") -> Forecast:
    traffic = TrafficForecast(syncs, syncs, num_states=states, state_size=1)
    return Forecast(traffic, RunSize(workers, 1000, steps), (), convention, (Message(4000, 4000),), MeansForecast(0, 0))


def test_with_equal_machines_the_time_equals_that_of_a_network() -> None:
    actual = forecast_of(5, 100, 10, 100)
    equal = Fleet(Constant(), Links((1e6,), (0.01,)))
    assert seconds_on_fleet(actual, 10, equal, 0.5) == pytest.approx(actual.volume(10).seconds(1e6, 0.01, 0.5))


def test_a_rendezvous_doubles_the_latencies_of_models_and_not_those_of_states() -> None:
    actual = forecast_of(4, 100, 10, 100, "ring")
    rendezvous = Fleet(Constant(), Links((float("inf"),), (0.01,), rendezvous=True))
    # 100 states of four bytes, the initial model and ten syncs, in a ring with six messages
    assert seconds_on_fleet(actual, 10, rendezvous, 0.5) == pytest.approx(50 + 6 * (100 + 2 * 11) * 0.01)


def test_exponential_steps_with_a_barrier_each_take_the_harmonic_number_of_workers() -> None:
    actual = forecast_of(8, 1000, 0, 1000)
    harmonic = sum(1 / k for k in range(1, 9))
    assert seconds_on_fleet(actual, 0, Fleet(Exponential(), FREE), 1.0) == pytest.approx(1000 * harmonic, rel=0.01)


def test_rarer_barriers_and_faster_machines_take_less_time() -> None:
    jitter = Fleet(Lognormal(0.6), FREE)
    times = [seconds_on_fleet(forecast_of(10, 1000, syncs), syncs, jitter, 1.0) for syncs in (1000, 300, 100, 10)]
    assert all(
        slower is not None and faster is not None and slower > faster > 1000 for slower, faster in pairwise(times)
    )
    half = seconds_on_fleet(forecast_of(4, 100, 7), 7, Fleet(Constant(), FREE, speeds=(1, 0.5)), 1.0)
    assert half == pytest.approx(200)


def test_a_segment_that_is_too_large_to_draw_is_not_estimated() -> None:
    steps = MOST_DRAWS // 1000 + 1
    assert seconds_on_fleet(forecast_of(1000, steps, 1), 1, Fleet(Lognormal(0.1), FREE), 1.0) is None


def test_a_planned_cell_takes_the_time_of_its_fewest_and_its_most_syncs(tmp_path: Path) -> None:
    """Steps take 40 s; each collective, that of the initial model included, takes two messages of 0.5 s."""
    path = tmp_path / "suite.toml"
    path.write_text(digits_suite([FEDAVG, linear_fda(0.3)], steps=20, every_steps=10, workers=4), encoding="utf-8")
    fedavg, fda = (ResolvedCell(cell.config) for cell in read_suite(path).cells)
    slow = Fleet(Constant(), Links((float("inf"),), (0.5,)))
    assert planned_seconds(fedavg, "star", slow, 2.0) == pytest.approx((40 + 11,) * 2)
    # a state at each of 20 steps, and 0 to 20 syncs
    assert planned_seconds(fda, "star", slow, 2.0) == pytest.approx((40 + 21, 40 + 21 + 20))


def test_plan_has_a_column_for_each_named_fleet(tmp_path: Path) -> None:
    path = tmp_path / "suite.toml"
    path.write_text(digits_suite([FEDAVG], steps=20, every_steps=10), encoding="utf-8")
    arguments = ["plan", str(path), "--fleet", "cluster", "--fleet", "devices", "-o", str(tmp_path / "out")]
    actual = CliRunner().invoke(app, [*arguments, "--output-format", "json"])
    assert actual.exit_code == 0, actual.output
    (record,) = json.loads(actual.stdout)
    assert 0 < record["fleet_cluster_least_s"] == record["fleet_cluster_most_s"] < record["fleet_devices_least_s"]
    assert "time on fleet devices" in CliRunner().invoke(app, [*arguments, "--output-format", "plain"]).output
    refused = CliRunner().invoke(app, ["plan", str(path), "--fleet", "device"])
    assert refused.exit_code == 2
    assert 'did you mean "devices"?' in refused.output


def test_plan_measures_the_speed_of_a_step_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the time on fleets and for the time of the run; not at all where neither is printed."""
    path = tmp_path / "suite.toml"
    path.write_text(digits_suite([FEDAVG, linear_fda(1.0)], steps=20, every_steps=10), encoding="utf-8")
    measured: list[object] = []
    monkeypatch.setattr("fdabench.planning.time._calibrated_speed", lambda *kind: measured.append(kind) or 100.0)
    arguments = ["plan", str(path), "-o", str(tmp_path / "out")]
    counts = []
    for options in ([], ["--fleet", "cluster"], ["--output-format", "json"]):
        assert CliRunner().invoke(app, [*arguments, *options]).exit_code == 0
        counts.append(len(measured))
        measured.clear()
    assert counts == [1, 1, 0]
