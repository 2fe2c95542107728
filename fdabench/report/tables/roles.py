"""Builds the table `roles`: costs grouped by trigger, server, codec and correction."""

import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.stats import geometric_mean
from fdabench.cell_config import CellConfig
from fdabench.formatting import DASH, format_bytes, format_ratio, plural
from fdabench.report.tables.build import ReportTable, workload_column
from fdabench.tables import Column, Record, column, number

_FIELDS: Mapping[str, Sequence[str]] = {
    "server": ("server",),
    "codec": ("codec", "feedback"),
    "correction": ("correction",),
}
"""The role of a component, and the fields of a strategy that describe it."""
_PLAIN: Mapping[str, str] = {"server": "average", "codec": "", "correction": ""}
"""What a strategy without such a component has in the column of the role."""


def role_tables(data: ReportData) -> list[ReportTable]:
    """Return the table, or an empty list if all cells have the same server, codec and correction."""
    cells = _cells(data)
    if cells.empty or all(cells[role].nunique() < 2 for role in _FIELDS):
        return []
    records = list(_records(data, cells))
    metric = data.metric
    columns = (
        workload_column(data),
        column("role"),
        column("value", write=lambda value: value or "none"),
        Column("reached", "reached", lambda row: f"{row['reached']}/{row['cells']}", "right"),
        number("bytes", f"bytes ({data.conventions})", format_bytes),
        number("bytes_up", "sent in the run", format_bytes),
        number("bytes_down", "received in the run", format_bytes),
        number("final_value", f"final {metric.title}", lambda value: metric.format(value, 2)),
        Column("bytes_ratio", "fewer bytes than without", _ratio, "right"),
    )
    note = (
        "Cells with a result, by one component. Bytes to the target of each workload: geometric mean over the cells "
        f"that reached it, all workers, {data.conventions} accounting. A group contains different strategies, so its "
        "mean alone does not compare components. Fewer bytes than without: of two cells that differ in this component "
        "only, the bytes of the one with plain averaging, float32 messages or no correction, divided by the bytes of "
        "the other; geometric mean over the pairs in which both reached the target. A strategy without a trigger of "
        "its own is listed by its kind."
    )
    return [
        ReportTable(
            records=records,
            columns=columns,
            name="roles",
            title="Cost by trigger, server, codec and correction",
            note=note,
            frame=pd.DataFrame(records),
        )
    ]


def _cells(data: ReportData) -> pd.DataFrame:
    """The finished cells, with the bytes to the target of their workload; NaN where it was missed."""
    hits = data.at_workload_target[data.at_workload_target["reached"].astype(bool)]
    cost = hits.set_index("cell_id")["bytes_total"].astype(float)
    cells = data.finished
    return cells.assign(
        cost=cells["cell_id"].map(cost).astype(float),
        trigger=cells["trigger"].where(cells["trigger"] != "", cells["strategy"]),
    )


def _records(data: ReportData, cells: pd.DataFrame) -> Iterator[Record]:
    for (suite, workload), of_workload in cells.groupby(WORKLOAD, sort=False):
        for role in ("trigger", *_FIELDS):
            if of_workload[role].nunique() < 2:
                continue
            ratios = matched_ratios(of_workload, data.configs, role) if role in _FIELDS else {}
            for value, of_value in of_workload.groupby(role, sort=False):
                axes = {"suite": suite, "workload": workload, "role": role, "value": value}
                yield {**axes, **_costs(of_value), **_pairs(ratios.get(str(value), np.array([])))}


def _costs(rows: pd.DataFrame) -> Record:
    return {
        "cells": len(rows),
        "reached": int(rows["cost"].notna().sum()),
        "bytes": geometric_mean(rows["cost"].dropna()),
        "bytes_up": geometric_mean(rows["bytes_up"].astype(float)),
        "bytes_down": geometric_mean(rows["bytes_down"].astype(float)),
        "final_value": float(rows.loc[rows["state"] != "diverged", "final_value"].mean()),
    }


def _pairs(ratios: npt.NDArray[np.float64]) -> Record:
    finite = ratios[np.isfinite(ratios)]
    mean = float(np.exp(np.log(finite).mean())) if len(finite) else float("nan")
    return {"bytes_ratio": mean, "pairs_reached": len(finite), "pairs": len(ratios)}


def matched_ratios(
    cells: pd.DataFrame, configs: Mapping[str, CellConfig], role: str
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the costs without a component divided by the costs with it, for cells that differ in nothing else.

    Args:
        cells: the cells of one workload, with `cell_id`, `seed`, `cost` and the column `role`.
        configs: their configurations.
        role: "server", "codec" or "correction".

    Returns:
        An array for each kind of component; NaN for pairs of which one cell missed the target.
    """
    keyed = cells.assign(settings=[_settings_except(configs[cell_id], role) for cell_id in cells["cell_id"]])
    is_plain = keyed[role] == _PLAIN[role]
    keys = ["settings", "seed"]
    pairs = keyed[~is_plain].merge(keyed.loc[is_plain, [*keys, "cost"]], on=keys, suffixes=("", "_plain"))
    ratios = pairs["cost_plain"] / pairs["cost"]
    return {str(value): of_value.to_numpy(float) for value, of_value in ratios.groupby(pairs[role])}


def _settings_except(config: CellConfig, role: str) -> str:
    """All settings of the strategy and the local optimizer except those of one component, as JSON."""
    strategy = {key: value for key, value in config.strategy.to_table().items() if key not in _FIELDS[role]}
    return json.dumps([strategy, config.optimizer.to_table()], sort_keys=True)


def _ratio(row: Record) -> str:
    if not row["pairs"]:
        return DASH
    share = "" if row["pairs_reached"] == row["pairs"] else f"{row['pairs_reached']} of "
    mean = f"{format_ratio(row['bytes_ratio'])}×" if row["pairs_reached"] else DASH
    return f"{mean} ({share}{plural(row['pairs'], 'pair')})"
