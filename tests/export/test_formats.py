"""`fdabench export`: each tool's own reader gives back the steps, the bytes and the accuracies of the results."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from fdabench.cli.main import ExportTool, app
from fdabench.errors import UsageError
from fdabench.export.curves import Curve, curves_of
from fdabench.export.formats import FORMATS, export
from fdabench.results.load import Results
from support.digits_results import SIX, Suite, write


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    states = {("Synchronous", 1): "failed"}
    return write(
        tmp_path_factory.mktemp("export") / "digits", Suite(SIX[:2], seeds=(0, 1), targets=(0.9,), states=states)
    )


@pytest.fixture(scope="module")
def curves(results: Results) -> list[Curve]:
    return curves_of(results)


def test_the_command_supports_every_format() -> None:
    assert [item.value for item in ExportTool] == list(FORMATS)


def test_a_cell_without_a_result_is_left_out(results: Results, curves: list[Curve]) -> None:
    assert len(results.lock.cell) == 4
    assert len(curves) == 3
    assert sum(len(curve.evaluations) for curve in curves) == len(results.evals) == 60


def test_csv_has_a_row_for_each_evaluation(results: Results, curves: list[Curve], tmp_path: Path) -> None:
    with export(results, "csv", tmp_path / "out.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    actual = [(row["cell_id"], int(row["step"]), int(row["bytes_total"]), float(row["test_accuracy"])) for row in rows]
    assert actual == [
        (curve.cell_id, item.step, item.bytes_total, item.values["test_accuracy"])
        for curve in curves
        for item in curve.evaluations
    ]
    assert {row["strategy.kind"] for row in rows} == {"synchronous", "fedavg"}


def test_the_two_benchmark_files_have_the_same_costs(results: Results, tmp_path: Path) -> None:
    entries = json.loads(export(results, "github-benchmark", tmp_path / "g.json").read_text(encoding="utf-8"))
    benchmarks = json.loads(export(results, "bencher", tmp_path / "b.json").read_text(encoding="utf-8"))
    assert len(entries) >= 2
    assert all(entry.keys() == {"name", "unit", "value", "range", "extra"} for entry in entries)
    assert {entry["name"]: entry["value"] for entry in entries} == {
        f"{name}: {unit}": measure["value"]
        for name, measures in benchmarks.items()
        for unit, measure in measures.items()
    }
    for measures in benchmarks.values():
        for measure in measures.values():
            assert measure.keys() == {"value", "lower_value", "upper_value"}
            assert 0 < measure["lower_value"] <= measure["value"] <= measure["upper_value"]


def test_a_benchmark_is_the_geometric_mean_over_its_seeds(results: Results, tmp_path: Path) -> None:
    benchmarks = json.loads(export(results, "bencher", tmp_path / "b.json").read_text(encoding="utf-8"))
    (measures,) = [value for name, value in benchmarks.items() if name.startswith("FedAvg")]
    runs = results.hits.merge(results.runs[["cell_id", "label"]], on="cell_id")
    hits = runs[runs["label"].str.startswith("FedAvg") & runs["reached"]]["bytes_total"]
    assert len(hits) == 2
    assert measures["bytes"]["value"] == pytest.approx((hits.iloc[0] * hits.iloc[1]) ** 0.5)


def test_tensorboard_reads_every_evaluation_over_steps_and_over_bytes(
    results: Results, curves: list[Curve], tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    export(results, "tensorboard", tmp_path / "runs")
    for curve in curves:
        events = EventAccumulator(str(tmp_path / "runs" / curve.name)).Reload()
        for axis, places in (
            ("by_step", [item.step for item in curve.evaluations]),
            ("by_bytes", [item.bytes_total for item in curve.evaluations]),
        ):
            scalars = events.Scalars(f"{axis}/test_accuracy")
            assert [scalar.step for scalar in scalars] == places
            expected = [item.values["test_accuracy"] for item in curve.evaluations]
            assert [scalar.value for scalar in scalars] == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the packages that MLflow imports
def test_mlflow_reads_every_evaluation_over_steps_and_over_bytes(
    results: Results, curves: list[Curve], tmp_path: Path
) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    path = export(results, "mlflow", tmp_path / "mlflow.db")
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{path}")
    experiment = client.get_experiment_by_name("digits")
    runs = {run.data.tags["cell_id"]: run for run in client.search_runs([experiment.experiment_id])}
    assert runs.keys() == {curve.cell_id for curve in curves}
    for curve in curves:
        run = runs[curve.cell_id]
        assert run.data.params["strategy.kind"] == curve.settings["strategy.kind"]
        by_bytes = client.get_metric_history(run.info.run_id, "test_accuracy_by_bytes")
        assert [(metric.step, metric.value) for metric in by_bytes] == [
            (item.bytes_total, item.values["test_accuracy"]) for item in curve.evaluations
        ]


def _export_in_a_process(results: Results, to: str, out: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "fdabench", "export", str(results.root), "--to", to, "-o", str(out)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, out.as_posix()), done.stderr


@pytest.mark.slow
def test_trackio_reads_every_evaluation_over_steps_and_over_bytes(
    results: Results, curves: list[Curve], tmp_path: Path
) -> None:
    pytest.importorskip("trackio")
    # an address that refuses connections: nothing may be sent there
    _export_in_a_process(results, "trackio", tmp_path / "out", {"TRACKIO_SERVER_URL": "http://127.0.0.1:9"})

    def read(*arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "trackio.cli", *arguments, "--project", "digits", "--json"]
        environment = {**os.environ, "TRACKIO_DIR": str(tmp_path / "out")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
        return cast(dict[str, Any], json.loads(done.stdout))

    assert sorted(read("list", "runs")["runs"]) == sorted(curve.title for curve in curves)
    values = read("get", "metric", "--run", curves[0].title, "--metric", "by_bytes/test_accuracy")["values"]
    assert [(item["step"], item["value"]) for item in values] == [
        (item.bytes_total, item.values["test_accuracy"]) for item in curves[0].evaluations
    ]


@pytest.mark.slow
def test_wandb_reads_every_evaluation_over_steps_and_over_bytes(
    results: Results, curves: list[Curve], tmp_path: Path
) -> None:
    pytest.importorskip("wandb")
    _export_in_a_process(results, "wandb", tmp_path / "out", {"WANDB_MODE": "online"})
    folders = {path.name.rpartition("-")[2]: path for path in (tmp_path / "out" / "wandb").glob("offline-run-*")}
    assert folders.keys() == {curve.cell_id for curve in curves}
    curve = curves[0]
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folders[curve.cell_id])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    (run,) = [record["run"] for record in records if record["type"] == "run"]
    assert (run["display_name"], run["project"], run["run_group"]) == (curve.title, "digits", curve.label)
    assert run["config"]["update"]["strategy.kind"] == curve.settings["strategy.kind"]
    items = [record["history"]["item"] for record in records if record["type"] == "history"]
    for name in ("by_step/test_accuracy", "by_bytes/test_accuracy"):
        assert [(item["step"], item["bytes_total"], item[name]) for item in items] == [
            (entry.step, entry.bytes_total, entry.values["test_accuracy"]) for entry in curve.evaluations
        ]
    axes = {
        entry["metric"].get("glob_name"): entry["metric"].get("step_metric") for entry in records if "metric" in entry
    }
    assert axes["by_bytes/*"] == "bytes_total"
    assert axes["by_step/*"] == "step"


def test_an_existing_folder_is_not_changed(results: Results, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists; remove it, or give another path with -o"):
        export(results, "tensorboard", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_one_message_with_the_command_that_installs_it(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "fdabench.export.tensorboard", raising=False)
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    done = CliRunner().invoke(app, ["export", str(results.root), "--to", "tensorboard", "-o", str(tmp_path / "runs")])
    assert done.exit_code == 2
    assert "pip install 'fdabench[tensorboard]'" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_the_command_prints_the_path_that_it_wrote(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    done = CliRunner().invoke(app, ["export", str(results.root), "--to", "csv", "-o", str(path)])
    assert (done.exit_code, done.stdout.strip()) == (0, path.as_posix())
    assert path.read_text(encoding="utf-8").startswith("cell_id,label,step,bytes_total,test_accuracy,")
