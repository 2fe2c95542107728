"""The numbers of the conclusion in full: what it says in words is rounded."""

import math
from typing import Any

import pandas as pd

from fdabench.report.data import ReportData, only
from fdabench.report.headline import strategies_of
from fdabench.report.order import RULE, order_of
from fdabench.report.ratios import times_sign
from fdabench.report.stats import NO_RATIO, Ratio, geometric_mean, paired_ratio
from fdabench.report.tables import Table
from fdabench.report.text import DASH, byte_size, percent, target_name

COLUMNS = (
    "suite",
    "strategy",
    "target",
    "reached",
    "bytes",
    "times the bytes of the best",
    "times the steps of the reference",
    "best accuracy",
)
_NOTE = (
    "Over all workloads of a suite at its headline target. Bytes: geometric mean over the runs that reached it. First "
    "those that reached it as often as any, by bytes in runs that they have in common; then those that reached it "
    f"{RULE}; then those that never did. Ratios: geometric means of seed pairs with a 95 % interval over seeds and "
    "evaluations; at least, at most: the one limit (97.5 %) that misses leave. Best accuracy: mean over seeds of the "
    "best evaluation."
)


def conclusion_table(data: ReportData) -> Table:
    """One row for each suite and strategy, the best first."""
    frame = pd.DataFrame([row for suite in data.locks for row in _suite(only(data, suite), suite)])
    rows = tuple(_shown({str(key): value for key, value in row.items()}) for row in frame.to_dict("records"))
    return Table("conclusion", "The strategies over all workloads", _NOTE, frame, COLUMNS, rows, 5)


def _suite(data: ReportData, suite: str) -> list[dict[str, Any]]:
    outcomes = data.headline
    known = order_of(outcomes).labels if len(outcomes) else ()
    labels = [*known, *(label for label in strategies_of(data.runs) if label not in known)]
    best = outcomes[outcomes["label"] == known[0]] if known else outcomes
    return [{"suite": suite, "strategy": label, **_strategy(data, label, best)} for label in labels]


def _strategy(data: ReportData, label: str, best: pd.DataFrame) -> dict[str, Any]:
    outcomes, runs = data.headline, data.finished[data.finished["label"] == label]
    mine, reference = outcomes[outcomes["label"] == label], outcomes[outcomes["reference"].astype(bool)]
    hits = mine[mine["reached"].astype(bool)]
    return {
        "target": float(outcomes["target"].iloc[0]) if len(outcomes) else math.nan,
        "reached": len(hits),
        "cells": len(mine),
        "bytes": geometric_mean(hits["bytes_total"]),
        **_ratio("bytes_over_best", mine, best, "cost_bytes"),
        **_ratio("steps_over_reference", mine, reference, "cost_steps"),
        "best_accuracy": float(runs["best_accuracy"].mean()),
        "bytes_in_all": geometric_mean(runs["bytes_total"]),
        "cells_with_a_result": len(runs),
    }


def _ratio(name: str, top: pd.DataFrame, bottom: pd.DataFrame, cost: str) -> dict[str, Any]:
    # the same runs are as dear as themselves, whatever is known of their costs
    ratio = NO_RATIO if top["cell_id"].equals(bottom["cell_id"]) else paired_ratio(top, bottom, cost)
    return {
        name: ratio.mean,
        f"{name}_low": ratio.low,
        f"{name}_high": ratio.high,
        f"{name}_bound": ratio.bound,
        f"{name}_pairs": ratio.pairs,
        f"{name}_left_out": ratio.left_out,
    }


def _shown(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["suite"],
        row["strategy"],
        target_name(row["target"]) if math.isfinite(row["target"]) else "none",
        f"{row['reached']}/{row['cells']}" if row["cells"] else DASH,
        byte_size(row["bytes"]),
        _ratio_text(row, "bytes_over_best"),
        _ratio_text(row, "steps_over_reference"),
        percent(row["best_accuracy"], 2),
    )


def _ratio_text(row: dict[str, Any], name: str) -> str:
    low, high, pairs, bound = (row[f"{name}_{part}"] for part in ("low", "high", "pairs", "bound"))
    return times_sign(Ratio(row[name], low, high, pairs, bound))
