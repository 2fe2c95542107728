"""Builds the table `conclusion`: the exact values of the numbers that `report.summary` rounds in its sentences."""

import math

import pandas as pd

from fdabench.analysis.data import ReportData, for_suite
from fdabench.analysis.headline import labels_in_order
from fdabench.analysis.order import RULE, RULE_OF_KEPT, order_strategies
from fdabench.analysis.stats import NO_RATIO, geometric_mean, paired_ratio
from fdabench.formatting import DASH
from fdabench.report.ratios import format_times_sign
from fdabench.report.tables.build import ReportTable, bytes_columns, ratio_in, table_of, target_column
from fdabench.tables import Column, column, number

_NOTE = (
    "Over all workloads of a suite at its headline target. Bytes: geometric mean over the runs that reached it. "
    "Order: first the strategies that reached it as often as any, by the bytes of the runs in which all of them "
    f"reached it; then those of these that are {RULE_OF_KEPT}; then those that reached it {RULE}; then those that "
    "never reached it. Ratios: geometric means of seed pairs with a 95 % interval over seeds and evaluations; "
    "at least, at most: misses leave one limit only (97.5 %)."
)


def conclusion_table(data: ReportData) -> ReportTable:
    """Return one row for each suite and strategy, the best strategy of a suite first."""
    frame = pd.DataFrame([row for suite in data.locks for row in _suite(for_suite(data, suite), suite)])
    best = f" Best {data.metric.title}: mean over seeds of the best evaluation."
    return table_of("conclusion", "The strategies over all workloads", _NOTE + best, frame, _columns(data, frame))


def _suite(data: ReportData, suite: str) -> list[dict[str, object]]:
    outcomes = data.at_suite_target
    order = order_strategies(outcomes).labels if len(outcomes) else ()
    labels = [*order, *(label for label in labels_in_order(data.runs) if label not in order)]
    best = outcomes[outcomes["label"] == order[0]] if order else outcomes
    return [{"suite": suite, "strategy": label, **_strategy(data, label, best)} for label in labels]


def _strategy(data: ReportData, label: str, best: pd.DataFrame) -> dict[str, object]:
    outcomes, runs = data.at_suite_target, data.finished[data.finished["label"] == label]
    rows, reference = outcomes[outcomes["label"] == label], outcomes[outcomes["reference"].astype(bool)]
    hits = rows[rows["reached"].astype(bool)]
    return {
        "target": float(outcomes["target"].iloc[0]) if len(outcomes) else math.nan,
        "reached": len(hits),
        "cells": len(rows),
        "bytes": geometric_mean(hits["bytes_total"]),
        "bytes_up": geometric_mean(hits["bytes_up"]),
        "bytes_down": geometric_mean(hits["bytes_down"]),
        **_ratio("bytes_over_best", rows, best, "cost_bytes"),
        **_ratio("steps_over_reference", rows, reference, "cost_steps"),
        f"best_{data.metric.name}": float(runs["best_value"].mean()),
        "bytes_in_all": geometric_mean(runs["bytes_total"]),
        "cells_with_a_result": len(runs),
    }


def _ratio(name: str, top: pd.DataFrame, bottom: pd.DataFrame, cost: str) -> dict[str, object]:
    # a ratio of the cells of a strategy to themselves is 1 and says nothing
    ratio = NO_RATIO if top["cell_id"].equals(bottom["cell_id"]) else paired_ratio(top, bottom, cost)
    return {
        name: ratio.mean,
        f"{name}_low": ratio.low,
        f"{name}_high": ratio.high,
        f"{name}_bound": ratio.bound,
        f"{name}_pairs": ratio.pairs,
        f"{name}_left_out": ratio.left_out,
    }


def _ratio_column(name: str, title: str) -> Column:
    return Column(name, title, lambda row: format_times_sign(ratio_in(row, name)), "right")


def _columns(data: ReportData, frame: pd.DataFrame) -> tuple[Column, ...]:
    metric = data.metric
    return (
        column("suite"),
        column("strategy"),
        target_column(metric),
        Column("reached", "reached", lambda row: f"{row['reached']}/{row['cells']}" if row["cells"] else DASH, "right"),
        *bytes_columns(data, frame, "bytes"),
        _ratio_column("bytes_over_best", "times the bytes of the best"),
        _ratio_column("steps_over_reference", "times the steps of the reference"),
        number(f"best_{metric.name}", f"best {metric.title}", lambda value: metric.format(value, 2)),
    )
