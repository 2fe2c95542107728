"""Builds the table `round-length`: how the length of rounds depends on the learning rate, in cells with a schedule."""

import math
from collections.abc import Iterator

import pandas as pd

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.formatting import DASH, format_count
from fdabench.report.tables.build import ReportTable, workload_column
from fdabench.report.tables.round_length_fit import MIN_RATIO, fit_round_length, mean_round_lengths
from fdabench.tables import Column, Record, column, number

_TRANSIENT = 0.25
"""Rounds that begin in this first share of the steps are left out, because the loss falls fastest in it."""
_NOTE = (
    "Slope: of log(steps of a round) on log(learning rate), over rounds that begin after the first quarter of the run "
    "and end before its last step, all seeds together; each of at most eight intervals of learning rates counts once. "
    "In brackets: the 95 % confidence interval of the least-squares line. "
    "With a fixed theta and nothing else that changes, FDA has slope −2, as the quadratic synchronization rule, if the "
    "models diverge because of mini-batch noise, and −1 if they diverge because the workers' data differ. Gradients "
    "that become smaller in training make the slope steeper."
)


def round_length_tables(data: ReportData) -> list[ReportTable]:
    """Return the table, or an empty list if no learning rate changes by a factor of `MIN_RATIO`."""
    records = list(_records(data))
    if not records:
        return []
    columns = (
        workload_column(data),
        column("label", "strategy"),
        number("rounds", "rounds", format_count),
        number("highest", "at the highest lr", _length),
        number("lowest", "at the lowest lr", _length),
        Column("slope", "slope [95 % CI]", _slope, "right"),
    )
    return [
        ReportTable(
            records=records,
            columns=columns,
            name="round-length",
            title="Round length against learning rate",
            note=_NOTE,
            frame=pd.DataFrame(records),
        )
    ]


def _slope(row: Record) -> str:
    if math.isnan(row["slope"]):
        return DASH
    # rounds that all have the same length leave no scatter to compute an interval from
    interval = f" [{row['slope_low']:.2f}, {row['slope_high']:.2f}]" if math.isfinite(row["slope_low"]) else ""
    return f"{row['slope']:.2f}{interval}".replace("-", "−")


def _length(steps: float) -> str:
    return f"{steps:.1f} steps"


def fitted_rounds(data: ReportData) -> pd.DataFrame:
    """Return the rounds that begin after the first quarter of the run and end before its last step.

    The last round of a run is shorter than the strategy would have made it.
    """
    ends = data.runs.drop_duplicates("cell_id").set_index("cell_id")["steps"]
    # without a row the column has no number type
    end = data.rounds["cell_id"].map(ends).astype(float)
    begins = data.rounds["step"] - data.rounds["steps"]
    return data.rounds[(begins >= _TRANSIENT * end) & (data.rounds["step"] < end)]


def _records(data: ReportData) -> Iterator[Record]:
    for (suite, workload, label), of_label in fitted_rounds(data).groupby([*WORKLOAD, "label"], sort=False):
        lengths = mean_round_lengths(of_label)
        fit = fit_round_length(of_label)
        if len(lengths) and lengths["lr"].max() >= MIN_RATIO * lengths["lr"].min():
            yield {
                "suite": suite,
                "workload": workload,
                "label": label,
                "rounds": int(lengths["rounds"].sum()),
                "highest": float(lengths["steps"].iloc[-1]),
                "lowest": float(lengths["steps"].iloc[0]),
                "slope": fit.slope,
                "slope_low": fit.low,
                "slope_high": fit.high,
            }
