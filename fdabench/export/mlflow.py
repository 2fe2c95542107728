"""`--to mlflow`: an SQLite database with one run for each cell, for `mlflow ui --backend-store-uri sqlite:///PATH`."""

from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from fdabench.export.curves import Curve, curves_of
from fdabench.results.load import Results

MOST_METRICS, MOST_PARAMS, MOST_LETTERS = 1000, 100, 6000
"""What MLflow accepts in one call of `log_batch`, and letters of a parameter."""


def write_mlflow(results: Results, path: Path) -> None:
    """Write the database. Metrics named `..._by_bytes` have bytes where MLflow says step."""
    client = MlflowClient(tracking_uri=f"sqlite:///{path.resolve()}")
    experiment = client.create_experiment(results.lock.suite)
    for curve in curves_of(results):
        run = client.create_run(experiment, run_name=curve.title).info.run_id
        params = [Param(key, value[:MOST_LETTERS]) for key, value in curve.settings.items()]
        tags = [RunTag("cell_id", curve.cell_id), RunTag("state", curve.state), RunTag("label", curve.label)]
        client.log_batch(run, params=params[:MOST_PARAMS], tags=tags)
        metrics = _metrics(curve)
        for first in range(0, len(metrics), MOST_METRICS):
            client.log_batch(run, metrics=metrics[first : first + MOST_METRICS])
        client.set_terminated(run)


def _metrics(curve: Curve) -> list[Metric]:
    return [
        metric
        for evaluation in curve.evaluations
        for name, value in evaluation.values.items()
        for metric in (
            Metric(name, value, 0, evaluation.step),
            Metric(f"{name}_by_bytes", value, 0, evaluation.bytes_total),
        )
    ]
