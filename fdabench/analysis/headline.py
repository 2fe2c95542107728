"""Computes for each strategy how often it reached the target, at what cost, and the ratio to the reference."""

import math
from collections.abc import Sequence

import pandas as pd

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.stats import NO_RATIO, PAIR, Ratio, columns_of, geometric_mean, ratio_of


def headline_frame(data: ReportData, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each workload, target and strategy, in suite order, including strategies without a result.

    `bytes`, `steps` and `rounds` are geometric means over the cells that reached the target; `missed` is the number of
    finished cells that did not. `bytes_ratio` is the reference's bytes divided by the strategy's, paired by seed.

    Args:
        data: all data of the report.
        outcomes: the rows of `data.outcomes` at the targets to show.
    """
    targets = outcomes.groupby(WORKLOAD)["target"].unique().to_dict()
    by_label = dict(list(outcomes.groupby([*WORKLOAD, "target", "label"])))
    pairs = dict(list(_with_reference(outcomes).groupby([*WORKLOAD, "target", "label"])))
    rows = []
    for (suite, workload), runs in data.runs.groupby(WORKLOAD, sort=False):
        of_label = dict(list(runs.groupby("label", sort=False)))
        for target in data.metric.easiest_first(targets.get((suite, workload), ())) or [math.nan]:
            for label, label_runs in of_label.items():
                axes = {"suite": suite, "workload": workload, "strategy": label, "target": target}
                key = (suite, workload, target, label)
                ratio = ratio_of(pairs[key], "cost_bytes") if key in pairs else NO_RATIO
                rows.append(
                    axes
                    | _cost(by_label.get(key, outcomes.head(0)))
                    | _state(label_runs, data.metric.name)
                    | _columns(ratio)
                )
    return pd.DataFrame(rows)


def _with_reference(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The outcomes of all other strategies, each joined with the reference's of the same workload, target and seed."""
    keys, reference = [*PAIR, "target"], outcomes["reference"].astype(bool)
    columns = [*keys, *columns_of("cost_bytes")]
    return outcomes.loc[reference, columns].merge(
        outcomes.loc[~reference, [*columns, "label"]], on=keys, suffixes=("_t", "_b")
    )


def _cost(outcomes: pd.DataFrame) -> dict[str, float]:
    hits = outcomes[outcomes["reached"].astype(bool)]
    return {
        "reached": len(hits),
        "missed": len(outcomes) - len(hits),
        "bytes": geometric_mean(hits["bytes_total"]),
        "bytes_state": float(hits["bytes_state"].mean()) if len(hits) else math.nan,
        "steps": geometric_mean(hits["step"]),
        "rounds": geometric_mean(hits["rounds"]),
    }


def _state(runs: pd.DataFrame, metric: str) -> dict[str, float]:
    """The numbers of cells by state, and the final value of the metric over all cells that did not diverge."""
    finished = runs[runs["finished"]]
    values = finished.loc[finished["state"] != "diverged", "final_value"]
    return {
        "reference": bool(runs["reference"].any()),
        "cells": len(finished),
        "diverged": int((finished["state"] == "diverged").sum()),
        "failed": int(runs["failed"].sum()),
        "not_run": int(len(runs) - len(finished) - runs["failed"].sum()),
        f"final_{metric}": float(values.mean()) if len(values) else math.nan,
        f"final_{metric}_sd": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
    }


def _columns(ratio: Ratio) -> dict[str, float | str]:
    return {
        "bytes_ratio": ratio.mean,
        "bytes_ratio_low": ratio.low,
        "bytes_ratio_high": ratio.high,
        "bytes_ratio_bound": ratio.bound,
        "bytes_ratio_pairs": ratio.pairs,
    }


def labels_in_order(outcomes: pd.DataFrame) -> Sequence[str]:
    return list(dict.fromkeys(outcomes["label"]))
