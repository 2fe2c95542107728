"""`run --log-to`: a reader sees each evaluation as soon as it is written, and a log that fails never fails a run."""

import csv
from pathlib import Path
from typing import cast

import pytest

from fdabench.cli.display.progress import EvaluationLog
from fdabench.errors import UsageError
from fdabench.execution.events import CellProgress, CellStarted
from fdabench.experiment.recorder import Progress
from fdabench.export.curves import Evaluation
from fdabench.export.live import LIVE_LOGS, LiveLog, open_live_log
from fdabench.suite.cell import Cell
from fdabench.suite.reader import read_suite

SUITES = Path(__file__).parents[2] / "suites"


@pytest.fixture(scope="module")
def cell() -> Cell:
    return read_suite(SUITES / "ci.toml").cells[0]


def _progress(cell: Cell, step: int, loss: float = 0.5) -> CellProgress:
    return CellProgress(cell, Progress(step, 60, step / 100, 1000 * step, step, float("nan"), loss))


def test_csv_has_each_evaluation_immediately_also_after_a_second_run(cell: Cell, tmp_path: Path) -> None:
    path = tmp_path / "live" / "evaluations.csv"
    for steps in ((20, 40), (60,)):
        log = EvaluationLog(open_live_log("csv", tmp_path / "live"), pytest.fail)
        log.on_event(CellStarted(cell))
        for step in steps:
            log.on_event(_progress(cell, step, float("nan") if step == 60 else 0.5))
            with path.open(encoding="utf-8") as file:
                assert int(list(csv.DictReader(file))[-1]["step"]) == step
        log.close()
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["bytes_total"], row["test_accuracy"], row["test_loss"]) for row in rows] == [
        ("20", "20000", "0.2", "0.5"),
        ("40", "40000", "0.4", "0.5"),
        ("60", "60000", "0.6", ""),
    ]
    assert all(row["cell"].endswith(cell.id) for row in rows)


def test_tensorboard_reads_each_evaluation_before_the_log_is_closed(cell: Cell, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EvaluationLog(open_live_log("tensorboard", tmp_path), pytest.fail)
    for step in (20, 40):
        log.on_event(_progress(cell, step))
        (folder,) = (tmp_path / "tensorboard").iterdir()
        events = EventAccumulator(str(folder)).Reload()
        assert [item.step for item in events.Scalars("by_bytes/test_accuracy")][-1] == 1000 * step
        assert events.Scalars("by_step/test_accuracy")[-1].value == pytest.approx(step / 100)
    log.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the packages that MLflow imports
def test_mlflow_reads_each_evaluation_before_the_log_is_closed(cell: Cell, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    folder = tmp_path / "digits" / "live"
    log = EvaluationLog(open_live_log("mlflow", folder), pytest.fail)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    for step in (20, 40):
        log.on_event(_progress(cell, step))
        (run,) = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
        actual = client.get_metric_history(run.info.run_id, "test_accuracy_by_bytes")
        assert (actual[-1].step, actual[-1].value) == (1000 * step, step / 100)
        assert run.info.status == "RUNNING"
    log.close()
    assert client.get_run(run.info.run_id).info.status == "FINISHED"
    again = EvaluationLog(open_live_log("mlflow", folder), pytest.fail)
    again.on_event(_progress(cell, 60))
    again.close()
    assert len(client.search_runs([run.info.experiment_id])) == 2


def test_a_log_that_fails_is_one_warning(cell: Cell) -> None:
    class Full:
        calls = 0

        def write(self, cell: str, evaluation: Evaluation) -> None:
            Full.calls += 1
            raise OSError("No space left on device")

        def close(self) -> None:
            raise OSError

    lines: list[str] = []
    log = EvaluationLog(cast(LiveLog, Full()), lines.append)
    for step in (20, 40, 60):
        log.on_event(_progress(cell, step))
    log.close()
    assert lines == ["warning: --log-to: No space left on device; no more evaluations are written to this log"]
    assert Full.calls == 1


def test_an_unknown_tool_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    expected = '--log-to tensorbord: allowed: tensorboard, mlflow, csv; did you mean "tensorboard"'
    with pytest.raises(UsageError, match=expected):
        open_live_log("tensorbord", tmp_path)
    assert set(LIVE_LOGS) == {"tensorboard", "mlflow", "csv"}
    assert list(tmp_path.iterdir()) == []
