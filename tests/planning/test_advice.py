"""`fdabench advise`: at the measured size estimates equal the report's; elsewhere they follow closed forms."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fdabench.accounting.fleets import Fleet, Links
from fdabench.accounting.network_time import NETWORKS
from fdabench.accounting.step_time import Constant, Lognormal
from fdabench.analysis.data import ReportData, combine_results
from fdabench.cli.commands.results.advise import parse_parameters
from fdabench.cli.main import app
from fdabench.errors import ResultError
from fdabench.notebook import load as load_view
from fdabench.planning.advice import Advice, Deployment, advise
from fdabench.results.archive import write_archive
from fdabench.results.load import load
from support.digits_results import FULL, write

FAST = Fleet(Constant(), Links((1e15,)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("advice") / "results"
    write(root, replace(FULL, targets=(0.9,)))
    return root


@pytest.fixture(scope="module")
def data(folder: Path) -> ReportData:
    return combine_results([load(folder)])


def measured(data: ReportData, fleet: Fleet = FAST, parameters: int | None = None, step_s: float = 0.1) -> Advice:
    """The advice for the measured size, or for another number of parameters."""
    size = int(data.runs["num_parameters"].iloc[0]) if parameters is None else parameters
    return advise(data, Deployment(size, int(data.runs["workers"].iloc[0]), fleet, step_s, 1000))


def test_at_the_measured_size_the_ratios_of_bytes_and_steps_are_those_of_the_report(
    data: ReportData, folder: Path
) -> None:
    advice, view = measured(data), load_view(folder)
    for item in advice.estimates:
        if item.label != advice.reference:
            for cost, actual in (("bytes", item.bytes), ("steps", item.steps)):
                expected = view.ratio(item.label, to=advice.reference, cost=cost)  # type: ignore[arg-type]
                assert actual.bound == expected.bound
                assert (actual.mean, actual.low, actual.high) == pytest.approx(
                    (expected.mean, expected.low, expected.high), rel=1e-9, nan_ok=True
                )


def test_without_communication_time_the_ratio_of_times_is_that_of_steps(data: ReportData) -> None:
    for item in measured(data).estimates:
        assert item.time.mean == pytest.approx(item.steps.mean, rel=1e-6, nan_ok=True)
        assert not item.reached or item.communication == pytest.approx(0, abs=1e-6)


def test_without_compute_time_the_ratio_of_times_is_that_of_bytes(data: ReportData) -> None:
    for item in measured(data, Fleet(Constant(), Links((1e3,))), step_s=1e-9).estimates:
        assert item.time.mean == pytest.approx(item.bytes.mean, rel=1e-3, nan_ok=True)


def test_absolute_costs_equal_those_of_the_reference_times_the_ratio(data: ReportData) -> None:
    advice = measured(data)
    reference = next(item for item in advice.estimates if item.label == advice.reference)
    assert reference.seconds == pytest.approx(1000 * 0.1, rel=1e-6)
    for item in advice.estimates:
        if not item.time.bound:
            assert item.seconds == pytest.approx(reference.seconds * item.time.mean, nan_ok=True)
        else:
            assert math.isnan(item.seconds)


def test_a_larger_model_increases_the_bytes_of_models_and_not_of_local_states(data: ReportData) -> None:
    small = {item.label: item for item in measured(data).estimates}
    size = int(data.runs["num_parameters"].iloc[0])
    large = {item.label: item for item in measured(data, parameters=1000 * size).estimates}
    reference = measured(data).reference
    assert large[reference].total_bytes == pytest.approx(1000 * small[reference].total_bytes)
    sketch = next(label for label in large if label.startswith("Sketch"))  # 5,004 bytes of state at every step
    assert small[sketch].total_bytes < large[sketch].total_bytes < 1000 * small[sketch].total_bytes


def test_jitter_increases_the_waiting_of_strategies_that_communicate_often(data: ReportData) -> None:
    advice = measured(data, Fleet(Lognormal(0.6), Links((1e15,))))
    waiting = {item.label: item.waiting for item in advice.estimates if item.reached}
    assert waiting["FedAvg τ=50"] < waiting[advice.reference] / 3
    assert waiting[advice.reference] > 0.3


def test_a_strategy_that_did_not_keep_the_target_is_not_recommended(data: ReportData) -> None:
    best = measured(data).estimates[0].label
    outcomes = data.outcomes
    advice = measured(replace(data, outcomes=outcomes.assign(unsent=outcomes["label"] == best)))
    assert advice.not_kept == (best,)
    assert advice.estimates[0].label == measured(data).estimates[1].label
    assert not next(item for item in advice.estimates if item.label == best).leading
    assert best not in advice.level


def test_a_workload_on_which_few_strategies_reached_the_target_is_named(data: ReportData) -> None:
    assert measured(data).reached_by_few == ()
    first, *others = data.workloads
    reference = measured(data).reference
    outcomes = data.outcomes
    is_miss = (outcomes["workload"] == first[1]) & (outcomes["label"] != reference)
    advice = measured(replace(data, outcomes=outcomes.assign(reached=outcomes["reached"] & ~is_miss)))
    assert others
    assert advice.reached_by_few == ((data.workload_title(*first), (reference,)),)


def test_results_without_a_reached_target_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "results", replace(FULL, targets=(0.999999,)))
    with pytest.raises(ResultError, match="no finished cell reached the headline target"):
        measured(combine_results([load(tmp_path / "results")]))


@pytest.mark.parametrize(
    ("text", "number"),
    [("125M", 125_000_000), ("7b", 7 * 10**9), ("60_000", 60_000), ("1e6", 10**6), ("1.5K", 1500)],
)
def test_parameters_are_parsed_as_whole_numbers_with_units(text: str, number: int) -> None:
    assert parse_parameters(text) == number


@pytest.mark.parametrize("text", ["", "M", "-3", "0.5", "nan", "1e400", "12Q", "2000B"])
def test_an_invalid_number_of_parameters_is_refused(text: str) -> None:
    assert parse_parameters(text) is None


def invoke(folder: Path, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["advise", "--from", str(folder), *arguments], env={"COLUMNS": "200"})
    return result.exit_code, result.stdout, result.stderr


def test_the_command_states_the_fastest_strategy_and_what_was_not_measured(folder: Path) -> None:
    code, out, err = invoke(
        folder, "--parameters", "125M", "--workers", "16", "--network", "wan-100Mbps-40ms", "--fleet", "devices"
    )
    assert code == 0
    first, second, *_ = out.splitlines()
    assert (
        first == "125,000,000 parameters, 16 workers, fleet devices with the links of wan-100Mbps-40ms, 100 ms a step"
    )
    assert "use" in second
    assert "its bytes" in second
    assert "not measured: 125,000,000 parameters" in err
    assert "not measured: 16 workers" in err


def test_json_has_numbers_and_k_selects_cells(folder: Path) -> None:
    arguments = (
        "--parameters",
        "125M",
        "--workers",
        "16",
        "--network",
        next(iter(NETWORKS)),
        "--output-format",
        "json",
    )
    code, out, _ = invoke(folder, *arguments)
    rows = json.loads(out)
    assert code == 0
    assert sum(row["is_reference"] for row in rows) == 1
    assert all(isinstance(row["bytes_ratio"], float | None) for row in rows)
    _, chosen, _ = invoke(folder, *arguments, "-k", "iid")
    assert {row["runs"] for row in json.loads(chosen)} < {row["runs"] for row in rows} | set(range(4))


def test_suites_of_different_metrics_have_an_estimate_each(folder: Path, tmp_path: Path) -> None:
    """As in reports/study, where one suite has targets of the accuracy and one of the loss."""
    in_nats = shutil.copytree(folder, tmp_path / "nats") / "suite.lock.toml"
    lock = in_nats.read_text(encoding="utf-8")
    in_nats.write_text(lock.replace('suite = "results"', 'suite = "nats"\nmetric = "loss"'), encoding="utf-8")
    (tmp_path / "both").mkdir()
    write_archive(folder, tmp_path / "both" / "a.tar.xz")
    write_archive(tmp_path / "nats", tmp_path / "both" / "b.tar.xz")
    arguments = ("--parameters", "1M", "--workers", "8", "--network", next(iter(NETWORKS)))
    code, both, err = invoke(tmp_path / "both", *arguments)
    assert code == 0
    alone = [invoke(one, *arguments)[1] for one in (folder, tmp_path / "nats")]
    assert [line for line in both.splitlines() if "its bytes" in line] == [text.splitlines()[1] for text in alone]
    assert [line for line in both.splitlines() if line.endswith(":")] == ["results:", "nats:"]
    assert err.count("assumed to be as in the results at any size") == 1
    _, out, _ = invoke(tmp_path / "both", *arguments, "--output-format", "json")
    rows = json.loads(out)
    assert [row["suite"] for row in rows if row["is_reference"]] == ["results", "nats"]


def test_all_faults_are_reported_at_once(folder: Path) -> None:
    code, out, err = invoke(
        folder, "--parameters", "many", "--workers", "1", "--network", "wan", "--step-ms", "0", "--steps", "0"
    )
    assert (code, out) == (2, "")
    for fault in ("--parameters many", "--workers 1", "--step-ms 0", "--steps 0", "--network wan: allowed"):
        assert fault in err
    assert 'did you mean "wan-100Mbps-40ms"?' in err
    code, _, err = invoke(folder, "--parameters", "1M", "--workers", "2")
    assert code == 2
    assert "--network or --fleet is required" in err
