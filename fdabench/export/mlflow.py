"""`--to mlflow`: an SQLite database with one run for each cell, for `mlflow ui --backend-store-uri sqlite:///PATH`."""

from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from fdabench.export.curves import Evaluation, curves_of
from fdabench.results.load import Results

MOST_METRICS, MOST_PARAMS, MOST_LETTERS = 1000, 100, 6000
"""The limits of MLflow: metrics and parameters in one call of `log_batch`, and characters of a parameter."""


def write_mlflow(results: Results, path: Path) -> None:
    """Write the database. MLflow's x axis is an integer that it calls step; for `..._by_bytes` it counts bytes."""
    client = MlflowClient(tracking_uri=f"sqlite:///{path.resolve()}")
    experiment = client.create_experiment(results.lock.suite)
    for curve in curves_of(results):
        run = client.create_run(experiment, run_name=curve.title).info.run_id
        params = [Param(key, value[:MOST_LETTERS]) for key, value in curve.settings.items()]
        tags = [RunTag("cell_id", curve.cell_id), RunTag("state", curve.state), RunTag("label", curve.label)]
        client.log_batch(run, params=params[:MOST_PARAMS], tags=tags)
        metrics = [metric for evaluation in curve.evaluations for metric in _metrics(evaluation)]
        for first in range(0, len(metrics), MOST_METRICS):
            client.log_batch(run, metrics=metrics[first : first + MOST_METRICS])
        client.set_terminated(run)


def _metrics(evaluation: Evaluation) -> list[Metric]:
    return [
        metric
        for name, value in evaluation.values.items()
        for metric in (
            Metric(name, value, 0, evaluation.step),
            Metric(f"{name}_by_bytes", value, 0, evaluation.bytes_total),
        )
    ]


class LiveMlflow:
    """`run --log-to mlflow`: one run for each cell, in an experiment named after the results folder.

    A cell that is run again, by this command or a later one, has another run. A run that was killed stays `RUNNING`.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._client = MlflowClient(tracking_uri=f"sqlite:///{path.resolve()}")
        name = path.resolve().parents[1].name
        existing = self._client.get_experiment_by_name(name)
        self._experiment = existing.experiment_id if existing else self._client.create_experiment(name)
        self._runs = dict[str, str]()

    def write(self, cell: str, evaluation: Evaluation) -> None:
        """Commit the metrics over steps and over bytes."""
        if cell not in self._runs:
            self._runs[cell] = self._client.create_run(self._experiment, run_name=cell).info.run_id
        self._client.log_batch(self._runs[cell], metrics=_metrics(evaluation))

    def close(self) -> None:
        """Mark the runs of all cells as finished."""
        for run in self._runs.values():
            self._client.set_terminated(run)
