"""Combines several results folders into one set of frames, with the columns that every table and figure needs.

`runs` gets the columns `family`, `group` and `finished`, the suite's metric at the last and at the best evaluation
(`final_value`, `best_value`), and titles of the workload without its number of workers and
without its partition. `outcomes` has a row for each finished cell and target, with the cost to reach the target, or the
cost that was spent without reaching it.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from fdabench.accounting.costs import EvalPoint
from fdabench.accounting.fleets import Fleet
from fdabench.accounting.network_time import volume_at
from fdabench.analysis.order import kept_by_most
from fdabench.analysis.outcomes import priced_evals, with_costs
from fdabench.analysis.target import Headline, headline_of
from fdabench.cell_config import CellConfig
from fdabench.errors import UsageError
from fdabench.metrics import ACCURACY, METRICS, Metric
from fdabench.results.cell_record import FAILURE_STATES, SUCCESS_STATES, CellRecord
from fdabench.results.fleets import fleet_of
from fdabench.results.load import Results
from fdabench.results.names import strategy_family
from fdabench.results.suite_lock import SuiteLock
from fdabench.results.workloads import workloads_of
from fdabench.style.plot_style import ColorMarker, PlotStyle, assign_styles, color_marker_of

WORKLOAD = ["suite", "workload"]
"""Columns that group the cells that may be compared. A title of a workload is unique within a suite."""
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


@dataclass(frozen=True, eq=False)
class ReportData:
    """The data of tables and figures.

    `locks` and `headlines` are keyed by suite, `records` and `configs` by cell, `styles` by label,
    `color_markers` by family.
    """

    locks: Mapping[str, SuiteLock]
    headlines: Mapping[str, Headline]
    records: Mapping[str, CellRecord]
    configs: Mapping[str, CellConfig]
    runs: pd.DataFrame
    outcomes: pd.DataFrame
    evals: pd.DataFrame
    ledger: pd.DataFrame
    rounds: pd.DataFrame
    trace: pd.DataFrame
    partition: pd.DataFrame
    wire: pd.DataFrame
    styles: Mapping[str, PlotStyle]
    color_markers: Mapping[str, ColorMarker]
    """The colors and markers that strategies declare."""
    fleets: Mapping[str, Mapping[str, Fleet]]
    """The fleets of each suite by name: those that it defines, then those that the user asked for."""

    @property
    def metric(self) -> Metric:
        """The metric of the suites, which `combine_results` requires to be the same."""
        return next((METRICS[lock.metric] for lock in self.locks.values()), ACCURACY)

    @property
    def finished(self) -> pd.DataFrame:
        return self.runs[self.runs["finished"]]

    @property
    def at_suite_target(self) -> pd.DataFrame:
        """The outcomes at each suite's headline target.

        If no strategy of a suite reached it, the highest target below it that one reached replaces it.
        """
        return self.outcomes[self.outcomes["headline"]]

    @property
    def at_workload_target(self) -> pd.DataFrame:
        """The outcomes at each workload's target, which is the headline target of its suite.

        If no strategy reached it on a workload, the highest target below it that one reached replaces it there.
        """
        return self.outcomes[self.outcomes["shown"]]

    def target_note(self, suite: str, workload: str) -> str:
        """Return a note for the title of a panel whose target is not its suite's headline target; "" otherwise."""
        rows = self.at_workload_target[
            (self.at_workload_target["suite"] == suite) & (self.at_workload_target["workload"] == workload)
        ]
        headline = self.headlines[suite].target
        if rows.empty or math.isnan(headline) or float(rows["target"].iloc[0]) == headline:
            return ""
        format_target = self.metric.format_target
        return f"to {format_target(float(rows['target'].iloc[0]))}: no strategy reached {format_target(headline)}"

    @cached_property
    def volumes(self) -> pd.DataFrame:
        """The rows of `at_workload_target` that reached the target, with `volume`, `step_s` and `after_sync`.

        `volume` is the communication and computation up to the evaluation that reached it, whose time is `step` and
        `after_sync`. `step_s` is the seconds of a local step on this machine: the median over the workload's cells of
        the simulation's time for the step of one worker, including evaluations. The frame is cached, because several
        tables and figures use it.
        """
        hits = self.at_workload_target[self.at_workload_target["reached"].astype(bool)]
        rates = self.finished.groupby(WORKLOAD)["worker_steps_per_s"].median()
        of_hits = rates.reindex(pd.MultiIndex.from_frame(hits[WORKLOAD])).to_numpy(float)
        timed = hits.assign(step_s=1 / of_hits, after_sync=False, volume=None)
        if hits.empty:
            # empty columns have the type object, which cannot be merged with whole numbers
            return timed
        moments = self.evals[["cell_id", "step", "after_sync"]]
        timed["after_sync"] = hits[["cell_id", "step"]].merge(moments, how="left")["after_sync"].to_numpy()
        timed["volume"] = self._volumes(timed)
        return timed

    @cached_property
    def kept_volumes(self) -> pd.DataFrame:
        """The rows of `volumes` of the strategies that kept the target of the workload, as `order.kept_by_most`."""
        return self.volumes[kept_by_most(self.volumes, [*WORKLOAD, "label"])]

    def _volumes(self, hits: pd.DataFrame) -> "pd.Series":
        ledgers = {str(cell): of_cell for cell, of_cell in self.ledger.groupby("cell_id")}
        points = hits[["cell_id", "step", "workers", "suite", "after_sync"]]
        volumes = [
            volume_at(ledgers[cell], EvalPoint(int(step), bool(after)), int(workers), self.locks[suite].convention)
            for cell, step, workers, suite, after in points.itertuples(index=False)
        ]
        return pd.Series(volumes, index=hits.index, dtype=object)

    @property
    def conventions(self) -> str:
        return ", ".join(dict.fromkeys(lock.convention for lock in self.locks.values()))

    @property
    def workloads(self) -> list[tuple[str, str]]:
        """The pairs (suite, workload), in the order of the suites."""
        return list(dict.fromkeys(zip(self.runs["suite"], self.runs["workload"], strict=True)))

    @cached_property
    def headings(self) -> Mapping[tuple[str, str], tuple[str, str]]:
        """The two parts of a panel's heading, by (suite, workload).

        The first contains data set, model, workers and batch size, the second the other settings.
        """
        columns = ("suite", "workload", "workload_head", "workload_rest")
        rows = zip(*(self.runs[name] for name in columns), strict=True)
        return {(suite, workload): (head, rest) for suite, workload, head, rest in rows}

    def workload_title(self, suite: object, workload: object) -> str:
        """Return the title of the workload, with its suite in front if there are several suites."""
        return f"{suite}: {workload}" if len(self.locks) > 1 else str(workload)

    @property
    def labels(self) -> list[str]:
        return list(dict.fromkeys(self.runs["label"]))


def combine_results(results: Sequence[Results], fleets: Mapping[str, Fleet] = {}) -> ReportData:
    """Combine all cells of all results.

    If several results have a suite of the same name, a number is added to the name, so that their cells stay apart.

    Raises:
        UsageError: the suites have different metrics, so their targets cannot stand in one table.
    """
    names = _suite_names([result.lock.suite for result in results])
    pairs = list(zip(names, results, strict=True))
    metric = _metric_of(pairs)
    runs = pd.concat([_runs(name, result, metric) for name, result in pairs], ignore_index=True)
    families = dict(zip(runs["label"], runs["family"], strict=True))
    color_markers = {
        family: color_marker for result in reversed(results) for family, color_marker in _color_markers(result).items()
    }
    stack = partial(_stack, pairs, runs)
    hits = {name: _hits(name, result, runs) for name, result in pairs}
    headlines = {name: headline_of(result.lock, hits[name]) for name, result in pairs}
    return ReportData(
        locks={name: result.lock for name, result in pairs},
        headlines=headlines,
        records={_key(name, cell): record for name, result in pairs for cell, record in result.records.items()},
        configs={_key(name, cell.id): cell.config for name, result in pairs for cell in result.lock.cell},
        runs=runs,
        outcomes=pd.concat([with_costs(hits[name], headlines[name]) for name in names], ignore_index=True),
        evals=stack([priced_evals(result) for result in results]),
        ledger=stack([result.ledger for result in results]),
        rounds=stack([result.rounds for result in results]),
        trace=_keyed(pairs, [result.trace for result in results]),
        partition=stack([result.partition.rename(columns={"label": "class_index"}) for result in results]),
        wire=stack([result.wire for result in results]),
        styles=assign_styles(families, color_markers),
        color_markers=color_markers,
        fleets={name: {**_fleets(result), **fleets} for name, result in pairs},
    )


def _metric_of(pairs: Sequence[tuple[str, Results]]) -> Metric:
    names = {result.lock.metric for _, result in pairs}
    if len(names) > 1:
        metrics = ", ".join(f"{name}: {result.lock.metric}" for name, result in pairs)
        raise UsageError(f"these results have different metrics ({metrics}): give those of one metric at a time")
    return METRICS[names.pop()]


def _fleets(result: Results) -> dict[str, Fleet]:
    """The fleets that the suite defines; none of them has a trace, so that the folder is not used."""
    return {table.name: fleet_of(table, Path()) for table in result.lock.fleet}


def _suite_names(names: Sequence[str]) -> list[str]:
    counts: Counter[str] = Counter()
    unique = []
    for name in names:
        counts[name] += 1
        unique.append(name if counts[name] == 1 else f"{name} #{counts[name]}")
    return unique


def _key(suite: str, cell_id: str) -> str:
    return f"{suite}:{cell_id}"


def _runs(name: str, result: Results, metric: Metric) -> pd.DataFrame:
    runs, workload_by_id = result.runs.copy(), workloads_of(result.lock.cell)
    workloads = [workload_by_id[cell_id] for cell_id in runs["cell_id"]]
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
        family=[strategy_family(configs[cell_id].strategy, info) for cell_id in runs["cell_id"]],
        group=[info("strategies", kind).group for kind in runs["strategy"]],
        final_value=metric.of(runs, "final"),
        best_value=metric.of(runs, "best"),
        finished=runs["state"].isin(SUCCESS_STATES),
        failed=runs["state"].isin(FAILURE_STATES),
    )


def series_of(config: CellConfig) -> str:
    """Return the settings of a cell's strategy and local optimizer without theta.

    They are equal for all points of a sweep over theta.
    """
    strategy = {key: value for key, value in config.strategy.to_table().items() if key != "theta"}
    return json.dumps([strategy, config.optimizer.to_table()], sort_keys=True)


def _color_markers(result: Results) -> dict[str, ColorMarker]:
    """The colors and markers that strategies declare, by family."""
    info = result.lock.info
    strategies = [cell.config.strategy for cell in result.lock.cell]
    declared = [(strategy, color_marker_of(strategy, info)) for strategy in strategies]
    return {
        strategy_family(strategy, info): color_marker for strategy, color_marker in declared if color_marker is not None
    }


def _stack(pairs: Sequence[tuple[str, Results]], runs: pd.DataFrame, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return _keyed(pairs, frames).merge(runs[["cell_id", *AXES]], on="cell_id", how="left")


def _keyed(pairs: Sequence[tuple[str, Results]], frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The frames of all results in one frame, with the keys of their cells.

    The columns `AXES` are not added. In a frame of millions of rows, such as traces, they would need most of the
    memory.
    """
    keyed = [
        frame.assign(cell_id=f"{name}:" + frame["cell_id"].astype(str))
        for (name, _), frame in zip(pairs, frames, strict=True)
        if len(frame)
    ]
    stacked = pd.concat(keyed, ignore_index=True) if keyed else frames[0]
    # Infinite values of diverged cells cannot be drawn.
    return stacked.replace([np.inf, -np.inf], np.nan)


def _hits(name: str, result: Results, runs: pd.DataFrame) -> pd.DataFrame:
    hits = result.hits.assign(cell_id=[_key(name, cell_id) for cell_id in result.hits["cell_id"]])
    axes = runs[["cell_id", *AXES, "bytes_total", "steps", "final_value"]]
    axes = axes.rename(columns={"bytes_total": "spent", "steps": "ran"})
    return hits.merge(axes, on="cell_id", how="left")


def for_suite(data: ReportData, suite: str) -> ReportData:
    """Return the data with the runs, outcomes and configurations of one suite only. Other frames are not filtered."""
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
    """Return the headline target of each suite in which a strategy reached one."""
    return {suite: headline.target for suite, headline in data.headlines.items() if not math.isnan(headline.target)}
