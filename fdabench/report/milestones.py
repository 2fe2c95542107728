"""Accuracy and rounds at round numbers of nominal epochs, as papers print them."""

import pandas as pd

from fdabench.report.data import WORKLOAD, ReportData
from fdabench.report.tables import Table
from fdabench.report.text import DASH, count, percent, significant

MILESTONES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
# what a floating-point number of epochs may be off by
_SLACK = 1e-9


def at_epoch(evals: pd.DataFrame, epoch: int) -> pd.DataFrame:
    """The evaluations in whose step that nominal epoch ended."""
    late, step = evals["epoch"] - epoch, evals["epoch"] / evals["step"]
    return evals[(late > -_SLACK) & (late < step - _SLACK)]


def milestones_frame(data: ReportData) -> pd.DataFrame:
    """One row for each cell and milestone: its first evaluation at that epoch, less than a step late."""
    found = [at_epoch(data.evals, epoch).drop_duplicates("cell_id").assign(milestone=epoch) for epoch in MILESTONES]
    columns = [*WORKLOAD, "label", "seed", "milestone", "step", "test_accuracy", "round", "bytes_total", "cell_id"]
    frame: pd.DataFrame = pd.concat(found, ignore_index=True)[columns]
    return frame


def milestones_tables(data: ReportData) -> list[Table]:
    """Nothing where no evaluation came at the end of a nominal epoch."""
    frame = milestones_frame(data)
    if frame.empty:
        return []
    epochs = sorted(set(frame["milestone"]))
    rows = []
    for (suite, workload, label), mine in frame.groupby([*WORKLOAD, "label"], sort=False):
        means = mine.groupby("milestone")[["test_accuracy", "round"]].mean()
        cells = [_cell(means.loc[epoch]) if epoch in means.index else DASH for epoch in epochs]
        rows.append((data.where(suite, workload), str(label), *cells))
    columns = ("workload", "strategy", *(f"epoch {epoch}" for epoch in epochs))
    note = "Test accuracy and, in brackets, rounds (syncs + 1), means over seeds; the csv has every seed."
    return [Table("epochs", "Accuracy and rounds at nominal epochs", note, frame, columns, tuple(rows), len(epochs))]


def _cell(means: "pd.Series[float]") -> str:
    rounds = float(means["round"])
    return (
        f"{percent(float(means['test_accuracy']), 2)} ({count(rounds) if rounds.is_integer() else significant(rounds)})"
    )
