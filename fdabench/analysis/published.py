"""Compares the user's cells with the published numbers of the same settings."""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fdabench.accounting.costs import EvalPoint, bytes_at
from fdabench.analysis.data import ReportData
from fdabench.analysis.epochs import at_epoch
from fdabench.analysis.protocol import protocol_differences
from fdabench.cell_config import CellConfig, canonical_json
from fdabench.published.results import (
    GRIDS,
    IID,
    PARTITIONS,
    PublishedResult,
    PublishedSetting,
    published,
    published_name,
)


@dataclass(frozen=True)
class PublishedComparison:
    """The result of `compare_with_published`.

    Args:
        frame: a row for each published number and each set of differences between its counterparts and the protocol.
        matched: how many published numbers have a counterpart.
        total: how many published numbers there are.
    """

    frame: pd.DataFrame
    matched: int
    total: int

    @property
    def left_out(self) -> int:
        return self.total - self.matched


def compare_with_published(data: ReportData) -> PublishedComparison:
    """Return the published numbers with the median, the minimum and the maximum of the cells that measured the same.

    As in the paper, costs follow the `paper` convention, and a target is reached when the accuracy is strictly above
    it, whatever the suite sets.
    """
    cells, facts = counterparts(data), published()
    # Most suites have no counterpart. The search for each published number can then be skipped.
    rows = [row for fact in facts for row in _rows(fact, cells, data)] if len(cells) else []
    matched = len({(row["axes"], row["quantity"]) for row in rows})
    frame = pd.DataFrame(rows)
    return PublishedComparison(frame.drop(columns="axes") if rows else frame, matched, len(facts))


def counterparts(data: ReportData) -> pd.DataFrame:
    """Return the finished cells whose data set, model, partition and strategy are in the paper.

    `published_as` is the paper's name of the strategy; `differs` describes the other differences from the paper. Cells
    that differ only in their budget or their evaluations are the same run, so only the longest is returned.
    """
    runs = data.finished
    runs = runs[
        (runs["dataset"] == runs["model"].map({model: grid.dataset for model, grid in GRIDS.items()}))
        & runs["partition"].isin({*IID, *PARTITIONS.values()})
    ]
    names = [published_name(*kinds) for kinds in zip(runs["strategy"], runs["monitor"], strict=True)]
    runs = runs.assign(published_as=names)
    runs = runs[runs["published_as"].isin({fact.axes.strategy for fact in published()})]
    longest = runs.sort_values("steps", ascending=False, kind="stable")
    is_repeated = longest["cell_id"].map(lambda cell_id: _run_settings(data.configs[cell_id])).duplicated()
    runs = runs[~is_repeated.reindex(runs.index)]
    keys = zip(runs["cell_id"], runs["label"], strict=True)
    return runs.assign(differs=[protocol_differences(data.configs[cell_id], label) for cell_id, label in keys])


def _run_settings(config: CellConfig) -> str:
    """The settings of a cell without its budget and evaluations, as JSON."""
    settings = config.to_dict()
    return canonical_json({key: settings[key] for key in settings if key not in ("budget", "eval")})


def matching(axes: PublishedSetting, cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of a published setting.

    A setting without a number of workers matches the whole grid of the paper. An IID setting matches both kinds of IID
    partition; `differs` notes a kind that is not the published one.

    Args:
        axes: the published setting.
        cells: the rows of `counterparts`.
    """
    partitions = IID if axes.partition in IID else (axes.partition,)
    candidates = cells[
        (cells["model"] == axes.model)
        & cells["partition"].isin(partitions)
        & (cells["published_as"] == axes.strategy)
        & cells["workers"].isin([axes.workers] if axes.workers else GRIDS[axes.model].workers)
    ]
    thetas = [axes.theta] if axes.theta is not None else () if axes.workers else GRIDS[axes.model].thetas
    of_theta = np.array(
        [not math.isfinite(theta) or _close(theta, thetas) for theta in candidates["theta"]], dtype=bool
    )
    return candidates[of_theta]


def _close(theta: float, thetas: Sequence[float]) -> bool:
    return any(math.isclose(theta, other, rel_tol=1e-9) for other in thetas)


def _rows(fact: PublishedResult, cells: pd.DataFrame, data: ReportData) -> Iterator[dict[str, object]]:
    for differs, group in matching(fact.axes, cells).groupby("differs", sort=False):
        values = [measure_cell(fact.axes, cell, data) for cell in group.to_dict("records")]
        with_result = [value for value in values if value is not None]
        if with_result:
            yield _row(fact, group, str(differs), np.array([value[fact.quantity] for value in with_result]))


def measure_cell(axes: PublishedSetting, cell: Mapping[Hashable, object], data: ReportData) -> dict[str, float] | None:
    """Return the measurements of a cell at the epoch or the target of a published setting.

    Args:
        axes: the published setting.
        cell: a row of `counterparts`.
        data: contains the evaluations and the ledger of the cell.

    Returns:
        Values by quantity, NaN if the cell missed the target. None if the cell diverged or was not evaluated at the
        epoch.
    """
    evals = data.evals[data.evals["cell_id"] == cell["cell_id"]]
    if axes.epoch is not None:
        at_that_epoch = at_epoch(evals, axes.epoch)
        if at_that_epoch.empty or cell["state"] == "diverged":
            return None
        return {
            "accuracy": float(at_that_epoch["test_accuracy"].iloc[0]),
            "rounds": float(at_that_epoch["round"].iloc[0]),
        }
    hits = evals[evals["test_accuracy"] > axes.target]
    if hits.empty:
        return {"bytes": math.nan, "steps": math.nan, "rounds": math.nan}
    hit = hits.iloc[0]
    instant = EvalPoint(int(hit["step"]), bool(hit["after_sync"]))
    ledger = data.ledger[data.ledger["cell_id"] == cell["cell_id"]]
    num_bytes = bytes_at(ledger, instant, data.configs[str(cell["cell_id"])].workers, "paper").total
    return {"bytes": float(num_bytes), "steps": float(instant.step), "rounds": float(hit["round"])}


def _row(fact: PublishedResult, cells: pd.DataFrame, differs: str, values: NDArray[np.float64]) -> dict[str, object]:
    axes, finite = fact.axes, values[np.isfinite(values)]
    middle, low, high = (float(f(finite)) if len(finite) else math.nan for f in (np.median, np.min, np.max))
    is_accuracy = fact.quantity == "accuracy"
    return {
        "axes": axes,
        "model": axes.model,
        "partition": axes.partition,
        "workers": _format_distinct(cells["workers"]),
        "strategy": axes.strategy,
        "theta": _format_distinct(cells["theta"]),
        "quantity": fact.quantity,
        "epoch": axes.epoch,
        "target": axes.target,
        "over_grid": fact.over_grid,
        "published": fact.value,
        "published_low": fact.low,
        "published_high": fact.high,
        "published_reached": fact.reached,
        "published_runs": fact.runs,
        "measured": middle,
        "measured_low": low,
        "measured_high": high,
        "measured_reached": len(finite),
        "cells": len(values),
        "seeds": int(cells["seed"].nunique()),
        "ratio": math.nan if is_accuracy else middle / fact.value,
        "points": 100 * (middle - fact.value) if is_accuracy else math.nan,
        "differs": differs,
        "source": fact.source,
    }


def _format_distinct(values: "pd.Series[float]") -> str:
    """The different values, such as `5, 10`; empty if there are none, as for a strategy without theta."""
    return ", ".join(f"{value:g}" for value in sorted(set(values.dropna())))
