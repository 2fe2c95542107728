"""Several results folders as one set of frames, with the columns that every table and figure needs.

`runs` gains `family`, `group`, `finished`, and titles of the workload without its number of workers and without its
partition; `outcomes` has a row for each finished cell and target, with what it cost to reach it, or what was spent
without.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from fdabench.accounting.costs import EvalPoint
from fdabench.accounting.network_time import demand_at
from fdabench.analysis.outcomes import priced_evals, with_costs
from fdabench.analysis.target import Headline, headline_of
from fdabench.cell_config import CellConfig
from fdabench.formatting import format_target
from fdabench.results.cell_record import FAILURE_STATES, SUCCESS_STATES, CellRecord
from fdabench.results.load import Results
from fdabench.results.names import strategy_family
from fdabench.results.suite_lock import SuiteLock
from fdabench.results.workloads import workloads_of
from fdabench.style.looks import Paint, PlotStyle, assign_styles, paint_of

WORKLOAD = ["suite", "workload"]
"""What groups the cells that may be compared; within a suite a title stands for one workload."""
AXES = [
    *WORKLOAD,
    "except_workers",
    "except_partition",
    "except_workers_id",
    "except_partition_id",
    "workers",
    "alpha",
    "label",
    "family",
    "seed",
    "reference",
    "state",
]


@dataclass(frozen=True)
class ReportData:
    """What tables and figures are made of. `locks` and `headlines` are keyed by suite, `records` by cell."""

    locks: Mapping[str, SuiteLock]
    headlines: Mapping[str, Headline]
    records: Mapping[str, CellRecord]
    configs: Mapping[str, Mapping[str, Any]]
    runs: pd.DataFrame
    outcomes: pd.DataFrame
    evals: pd.DataFrame
    ledger: pd.DataFrame
    rounds: pd.DataFrame
    trace: pd.DataFrame
    partition: pd.DataFrame
    wire: pd.DataFrame
    looks: Mapping[str, PlotStyle]
    paints: Mapping[str, Paint]
    """The colors and markers that families declare."""

    @property
    def finished(self) -> pd.DataFrame:
        return self.runs[self.runs["finished"]]

    @property
    def at_suite_target(self) -> pd.DataFrame:
        """The outcomes at each suite's headline target; of a suite where nobody reached it, at the next below."""
        return self.outcomes[self.outcomes["headline"]]

    @property
    def at_workload_target(self) -> pd.DataFrame:
        """The same, but of a workload where nobody reached that, at the highest target below that somebody did."""
        return self.outcomes[self.outcomes["shown"]]

    def apart(self, suite: str, workload: str) -> str:
        """What a panel's title says where it shows another target than its suite's headline; else nothing."""
        mine = self.at_workload_target[
            (self.at_workload_target["suite"] == suite) & (self.at_workload_target["workload"] == workload)
        ]
        headline = self.headlines[suite].target
        if mine.empty or math.isnan(headline) or float(mine["target"].iloc[0]) == headline:
            return ""
        return f"to {format_target(float(mine['target'].iloc[0]))}: nobody reached {format_target(headline)}"

    @cached_property
    def demands(self) -> pd.DataFrame:
        """The cells of `shown` that reached the target: `demand` is what it took, `step_s` a local step's seconds here.

        A step's time is the median over the workload's cells of the simulation's time for each worker's step,
        evaluations included: what one core of this machine would take for each worker. Kept, as two tables and a map
        ask for it.
        """
        hits = self.at_workload_target[self.at_workload_target["reached"].astype(bool)]
        rates = self.finished.groupby(WORKLOAD)["worker_steps_per_s"].median()
        of_hits = rates.reindex(pd.MultiIndex.from_frame(hits[WORKLOAD])).to_numpy(float)
        return hits.assign(demand=self._demands(hits), step_s=1 / of_hits)

    def _demands(self, hits: pd.DataFrame) -> "pd.Series[Any]":
        if hits.empty:
            return pd.Series(dtype=object)
        ledgers = {str(cell): mine for cell, mine in self.ledger.groupby("cell_id")}
        moments = self.evals[["cell_id", "step", "after_sync"]]
        asked = hits[["cell_id", "step", "workers", "suite"]].merge(moments, on=["cell_id", "step"], how="left")
        found = [
            demand_at(ledgers[cell], EvalPoint(int(step), bool(after)), int(workers), self.locks[suite].convention)
            for cell, step, workers, suite, after in asked.itertuples(index=False)
        ]
        return pd.Series(found, index=hits.index, dtype=object)

    @property
    def conventions(self) -> str:
        return ", ".join(dict.fromkeys(lock.convention for lock in self.locks.values()))

    @property
    def workloads(self) -> list[tuple[str, str]]:
        """(suite, workload) in suite order."""
        return list(dict.fromkeys(zip(self.runs["suite"], self.runs["workload"], strict=True)))

    @cached_property
    def headings(self) -> Mapping[tuple[str, str], tuple[str, str]]:
        """What stands above a panel, by (suite, workload): data, model, workers and batch size; all else."""
        columns = ("suite", "workload", "workload_head", "workload_rest")
        found = zip(*(self.runs[name] for name in columns), strict=True)
        return {(suite, workload): (head, rest) for suite, workload, head, rest in found}

    def workload_title(self, suite: object, workload: object) -> str:
        """The workload, and its suite before it where there are several."""
        return f"{suite}: {workload}" if len(self.locks) > 1 else str(workload)

    @property
    def labels(self) -> list[str]:
        return list(dict.fromkeys(self.runs["label"]))


def combine_results(results: Sequence[Results]) -> ReportData:
    """All cells of all results; a suite that comes twice gets a number, so that nothing is counted as one."""
    names = _suite_names([result.lock.suite for result in results])
    pairs = list(zip(names, results, strict=True))
    runs = pd.concat([_runs(name, result) for name, result in pairs], ignore_index=True)
    families = dict(zip(runs["label"], runs["family"], strict=True))
    paints = {family: paint for result in reversed(results) for family, paint in _paints(result).items()}
    stack = partial(_stack, pairs, runs)
    hits = {name: _hits(name, result, runs) for name, result in pairs}
    headlines = {name: headline_of(result.lock, hits[name]) for name, result in pairs}
    return ReportData(
        locks={name: result.lock for name, result in pairs},
        headlines=headlines,
        records={_key(name, cell): record for name, result in pairs for cell, record in result.records.items()},
        configs={_key(name, cell.id): cell.config.to_dict() for name, result in pairs for cell in result.lock.cell},
        runs=runs,
        outcomes=pd.concat([with_costs(hits[name], headlines[name]) for name in names], ignore_index=True),
        evals=stack([priced_evals(result) for result in results]),
        ledger=stack([result.ledger for result in results]),
        rounds=stack([result.rounds for result in results]),
        trace=_keyed(pairs, [result.trace for result in results]),
        partition=stack([result.partition.rename(columns={"label": "class_index"}) for result in results]),
        wire=stack([result.wire for result in results]),
        looks=assign_styles(families, paints),
        paints=paints,
    )


def _suite_names(names: Sequence[str]) -> list[str]:
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return unique


def _key(suite: str, cell_id: str) -> str:
    return f"{suite}:{cell_id}"


def _runs(name: str, result: Results) -> pd.DataFrame:
    runs, found = result.runs.copy(), workloads_of(result.lock.cell)
    workloads = [found[cell_id] for cell_id in runs["cell_id"]]
    configs = {cell.id: cell.config for cell in result.lock.cell}
    info = result.lock.info
    return runs.assign(
        suite=name,
        cell_id=[_key(name, cell_id) for cell_id in runs["cell_id"]],
        workload_head=[workload.head for workload in workloads],
        workload_rest=[workload.rest for workload in workloads],
        except_workers=[workload.except_workers for workload in workloads],
        except_partition=[workload.except_partition for workload in workloads],
        except_workers_id=[workload.except_workers_id for workload in workloads],
        except_partition_id=[workload.except_partition_id for workload in workloads],
        series=[series_of(configs[cell_id]) for cell_id in runs["cell_id"]],
        family=[strategy_family(configs[cell_id].strategy.to_table(), info) for cell_id in runs["cell_id"]],
        group=[info("strategies", kind).group for kind in runs["strategy"]],
        finished=runs["state"].isin(SUCCESS_STATES),
        failed=runs["state"].isin(FAILURE_STATES),
    )


def series_of(config: CellConfig) -> str:
    """What a cell's strategy is apart from its theta, local optimizer included: the same for all points of a sweep."""
    strategy = {key: value for key, value in config.strategy.to_table().items() if key != "theta"}
    return json.dumps([strategy, config.optimizer.to_table()], sort_keys=True)


def _paints(result: Results) -> dict[str, Paint]:
    """By family, the color and marker that it declares."""
    info = result.lock.info
    tables = [cell.config.strategy.to_table() for cell in result.lock.cell]
    found = [(table, paint_of(table, info)) for table in tables]
    return {strategy_family(table, info): paint for table, paint in found if paint is not None}


def _stack(pairs: Sequence[tuple[str, Results]], runs: pd.DataFrame, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return _keyed(pairs, frames).merge(runs[["cell_id", *AXES]], on="cell_id", how="left")


def _keyed(pairs: Sequence[tuple[str, Results]], frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Without the axes of their cells: of millions of rows, as traces have, they would be most of the memory."""
    keyed = [
        frame.assign(cell_id=f"{name}:" + frame["cell_id"].astype(str))
        for (name, _), frame in zip(pairs, frames, strict=True)
        if len(frame)
    ]
    stacked = pd.concat(keyed, ignore_index=True) if keyed else frames[0]
    # what has diverged is no number, and no axis reaches it
    return stacked.replace([np.inf, -np.inf], np.nan)


def _hits(name: str, result: Results, runs: pd.DataFrame) -> pd.DataFrame:
    hits = result.hits.assign(cell_id=[_key(name, cell_id) for cell_id in result.hits["cell_id"]])
    axes = runs[["cell_id", *AXES, "bytes_total", "steps"]].rename(columns={"bytes_total": "spent", "steps": "ran"})
    return hits.merge(axes, on="cell_id", how="left")


def for_suite(data: ReportData, suite: str) -> ReportData:
    """One suite's share of the runs, outcomes and configurations."""
    runs = data.runs[data.runs["suite"] == suite]
    return replace(
        data,
        locks={suite: data.locks[suite]},
        headlines={suite: data.headlines[suite]},
        configs={cell_id: data.configs[cell_id] for cell_id in runs["cell_id"]},
        runs=runs,
        outcomes=data.outcomes[data.outcomes["suite"] == suite],
    )


def headline_targets(data: ReportData) -> dict[str, float]:
    """Each suite's headline target; a suite where nobody reached any is left out."""
    return {suite: found.target for suite, found in data.headlines.items() if not math.isnan(found.target)}
