"""Builds the table `epochs`: accuracy and rounds after 1, 2, 5, ... nominal epochs, for comparison with papers."""

import pandas as pd

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.epochs import at_epoch
from fdabench.formatting import DASH, format_count, format_significant
from fdabench.metrics import Metric
from fdabench.report.tables.build import ReportTable, workload_column
from fdabench.tables import Column, Record, column

MILESTONES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def milestones_frame(data: ReportData) -> pd.DataFrame:
    """Return the evaluation of each cell at each milestone. Evaluations that come a step or more later do not count."""
    frames = [at_epoch(data.evals, epoch).drop_duplicates("cell_id").assign(milestone=epoch) for epoch in MILESTONES]
    name = f"test_{data.metric.name}"
    columns = [*WORKLOAD, "label", "seed", "milestone", "step", name, "round", "bytes_total", "cell_id"]
    evaluations = pd.concat(frames, ignore_index=True)
    frame: pd.DataFrame = evaluations.assign(**{name: data.metric.of(evaluations, "test")})[columns]
    return frame


def milestones_tables(data: ReportData) -> list[ReportTable]:
    """Return the table, or an empty list if no evaluation is at the end of a milestone."""
    frame = milestones_frame(data)
    if frame.empty:
        return []
    metric = data.metric
    epochs = sorted(set(frame["milestone"]))
    records = [
        {"suite": suite, "workload": workload, "label": label}
        | {f"epoch {epoch}": means for epoch, means in _means(of_label, f"test_{metric.name}").items()}
        for (suite, workload, label), of_label in frame.groupby([*WORKLOAD, "label"], sort=False)
    ]
    columns = (workload_column(data), column("label", "strategy"), *(_epoch_column(epoch, metric) for epoch in epochs))
    note = f"Test {metric.title} and, in brackets, rounds (syncs + 1), means over seeds; the csv has every seed."
    title = f"{metric.title.capitalize()} and rounds at nominal epochs"
    return [ReportTable(records=records, columns=columns, name="epochs", title=title, note=note, frame=frame)]


def _means(rows: pd.DataFrame, name: str) -> dict[int, Record]:
    """The mean of the metric and rounds over seeds, by epoch."""
    means = rows.groupby("milestone")[[name, "round"]].mean()
    return {int(str(epoch)): {str(name): mean for name, mean in row.items()} for epoch, row in means.iterrows()}


def _epoch_column(epoch: int, metric: Metric) -> Column:
    """The column of one epoch; a dash for strategies that were not evaluated then."""
    key = f"epoch {epoch}"
    return Column(key, key, lambda row: _cell(row[key], metric) if key in row else DASH, "right")


def _cell(means: Record, metric: Metric) -> str:
    rounds = float(means["round"])
    return (
        f"{metric.format(float(means[f'test_{metric.name}']), 2)} "
        f"({format_count(rounds) if rounds.is_integer() else format_significant(rounds)})"
    )
