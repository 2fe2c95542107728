"""Who reached the target, at what cost, and how that compares with the reference: numbers only, no words."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from fdabench.report.data import ReportData
from fdabench.report.stats import NO_RATIO, Ratio, geometric_mean, paired_ratio


def headline_frame(data: ReportData, outcomes: pd.DataFrame) -> pd.DataFrame:
    """One row for each workload, target and strategy, in suite order; strategies with no result are rows too.

    `bytes`, `steps` and `rounds` are geometric means over the cells that reached the target; `missed` says how many
    are not in them. `bytes_ratio` is the reference's bytes divided by the strategy's, paired by seed.
    """
    rows = []
    for suite, workload in data.workloads:
        runs = _of(data.runs, suite, workload)
        for target in sorted(set(_of(outcomes, suite, workload)["target"])) or [math.nan]:
            at_target = _of(outcomes, suite, workload)
            at_target = at_target[at_target["target"] == target]
            for label in dict.fromkeys(runs["label"]):
                axes = {"suite": suite, "workload": workload, "strategy": label, "target": target}
                mine = at_target[at_target["label"] == label]
                rows.append(axes | _cost(mine) | _state(runs[runs["label"] == label]) | _against(mine, at_target))
    return pd.DataFrame(rows)


def _of(frame: pd.DataFrame, suite: str, workload: str) -> pd.DataFrame:
    return frame[(frame["suite"] == suite) & (frame["workload"] == workload)]


def _cost(mine: pd.DataFrame) -> dict[str, Any]:
    hits = mine[mine["reached"].astype(bool)]
    return {
        "reached": len(hits),
        "missed": len(mine) - len(hits),
        "bytes": geometric_mean(hits["bytes_total"]),
        "bytes_state": float(hits["bytes_state"].mean()) if len(hits) else math.nan,
        "steps": geometric_mean(hits["step"]),
        "rounds": geometric_mean(hits["rounds"]),
    }


def _state(runs: pd.DataFrame) -> dict[str, Any]:
    """Final accuracy is over every seed with a result that did not diverge."""
    finished = runs[runs["finished"]]
    accuracy = finished.loc[finished["state"] != "diverged", "final_accuracy"]
    return {
        "reference": bool(runs["reference"].any()),
        "cells": len(finished),
        "diverged": int((finished["state"] == "diverged").sum()),
        "failed": int(runs["failed"].sum()),
        "not_run": int(len(runs) - len(finished) - runs["failed"].sum()),
        "final_accuracy": float(accuracy.mean()) if len(accuracy) else math.nan,
        "final_accuracy_sd": float(accuracy.std(ddof=1)) if len(accuracy) > 1 else math.nan,
    }


def _against(mine: pd.DataFrame, everyone: pd.DataFrame) -> dict[str, Any]:
    reference = everyone[everyone["reference"].astype(bool)]
    if reference.empty or mine.empty or bool(mine["reference"].all()):
        return _columns(NO_RATIO)
    return _columns(paired_ratio(reference, mine, "cost_bytes"))


def _columns(ratio: Ratio) -> dict[str, Any]:
    return {
        "bytes_ratio": ratio.mean,
        "bytes_ratio_low": ratio.low,
        "bytes_ratio_high": ratio.high,
        "bytes_ratio_bound": ratio.bound,
        "bytes_ratio_pairs": ratio.pairs,
    }


def ranking(outcomes: pd.DataFrame) -> list[str]:
    """Labels that reached the target at all: most often first, then by bytes."""
    hits = outcomes[outcomes["reached"].astype(bool)]
    scored = [(-len(rows), geometric_mean(rows["bytes_total"]), str(label)) for label, rows in hits.groupby("label")]
    return [label for _, _, label in sorted(scored)]


def strategies_of(outcomes: pd.DataFrame) -> Sequence[str]:
    return list(dict.fromkeys(outcomes["label"]))
