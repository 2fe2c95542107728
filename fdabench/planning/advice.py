"""Estimates which strategy would be fastest on a user's machines, from results that were measured at another size.

`fdabench advise` calls `advise`. Each cell of the results keeps its local steps and its collectives. Their costs are
computed again: a message of weights grows with the number of parameters, the bytes of a collective are those for the
user's number of workers, and the time of a run is that on the user's fleet (`accounting.fleets`). The ratios to the
reference and their intervals are then computed over the same pairs of workload and seed as in a report.

The estimate assumes that two measured quantities are the same at the other size: the ratio of the local steps to the
target between a strategy and the reference, and the fraction of the local steps after which a strategy synchronizes.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from fdabench.accounting.costs import EvalPoint, bytes_at, total_bytes
from fdabench.accounting.fleets import Fleet, FleetTime, fleet_time
from fdabench.analysis.data import WORKLOAD, ReportData
from fdabench.analysis.order import order_strategies
from fdabench.analysis.stats import Ratio, geometric_mean, paired_ratio
from fdabench.errors import ResultError
from fdabench.planning.memory import BYTES_PER_NUMBER

FEW_SEEDS = 3
"""With fewer seeds, intervals are wide or missing, and `fdabench advise` prints a warning."""


@dataclass(frozen=True)
class Deployment:
    """The training that a user plans.

    Args:
        parameters: the number of trainable parameters of the model.
        workers: the number of workers, K.
        fleet: the machines and the links between them.
        step_s: the mean seconds of one local step of a machine of speed 1.
        steps: the local steps in which the reference reaches the user's goal; absolute costs are for that number.
    """

    parameters: int
    workers: int
    fleet: Fleet
    step_s: float
    steps: int


@dataclass(frozen=True)
class Estimate:
    """The estimated costs of one strategy until it reaches the target.

    Args:
        label: the label of the strategy.
        reached: the number of measured cells that reached the target.
        runs: the number of finished cells.
        leading: whether the strategy reached the target as often as the best, and kept it (`analysis.order`).
        steps, bytes, time: the ratios of the costs to those of the reference; 1 for the reference.
        total_bytes: the bytes of all workers; NaN if no cell reached the target.
        seconds: the time of the run, in seconds; NaN if no cell reached the target.
        communication: the mean fraction of the time in collectives.
        waiting: the mean fraction of the time in which workers wait for slower ones.
    """

    label: str
    reached: int
    runs: int
    leading: bool
    steps: Ratio
    bytes: Ratio
    time: Ratio
    total_bytes: float
    seconds: float
    communication: float
    waiting: float


@dataclass(frozen=True)
class Advice:
    """The estimates, with the fastest strategy first, and the measurements that they are based on.

    Args:
        reference: the label of the strategy that the others are compared with.
        estimates: the estimates, sorted by time; strategies that are not `leading` come last.
        level: the labels of the strategies that are not clearly slower than the first one, without that one.
        not_kept: the labels of the strategies that are not `leading` because they did not keep the target.
        reached_by_few: titles of the workloads on which at most half of the strategies reached the target, with the
            labels of these; empty for a single workload.
        target: the target, as text.
        suites: the names of the measured suites.
        workloads: the titles of the measured workloads.
        seeds: the number of measured seeds.
        parameters, workers: the measured numbers of parameters and of workers, sorted.
    """

    reference: str
    estimates: tuple[Estimate, ...]
    level: tuple[str, ...]
    not_kept: tuple[str, ...]
    reached_by_few: tuple[tuple[str, tuple[str, ...]], ...]
    target: str
    suites: tuple[str, ...]
    workloads: tuple[str, ...]
    seeds: int
    parameters: tuple[int, ...]
    workers: tuple[int, ...]


def advise(data: ReportData, deployment: Deployment, cells: Collection[str] | None = None) -> Advice:
    """Estimate the cost of each strategy of the results in the user's training.

    Args:
        data: the results of one folder or several.
        deployment: the user's training.
        cells: the keys of the cells to use, as in `data.runs["cell_id"]`; None for all cells.

    Raises:
        ResultError: no strategy reached the headline target, or no finished cell is of the reference.
    """
    outcomes = data.at_suite_target
    if cells is not None:
        outcomes = outcomes[outcomes["cell_id"].isin(cells)]
    if outcomes.empty or not outcomes["reached"].any():
        raise ResultError("no finished cell reached the headline target, so there are no costs to estimate from")
    reference = _reference_of(outcomes)
    with_costs = _add_costs(data, outcomes, deployment)
    base = with_costs[with_costs["label"] == reference]
    scale = deployment.steps / geometric_mean(base.loc[base["reached"], "cost_steps"])
    if math.isnan(scale):
        raise ResultError(
            f"{reference}, the reference, did not reach the headline target, so there is no scale of steps"
        )
    order = order_strategies(outcomes)
    estimates_by_label = [
        _estimate(rows, base, scale, str(name) in order.leading) for name, rows in with_costs.groupby("label")
    ]
    estimates = tuple(
        sorted(
            estimates_by_label,
            key=lambda item: (not item.leading, item.label in order.not_kept, not item.reached, item.time.mean),
        )
    )
    best = with_costs[with_costs["label"] == estimates[0].label]
    runs = data.runs[data.runs["cell_id"].isin(outcomes["cell_id"])]
    measured = set(zip(runs["suite"], runs["workload"], strict=True))
    return Advice(
        reference=reference,
        estimates=estimates,
        level=tuple(
            estimate.label
            for estimate in estimates[1:]
            if estimate.leading and not _clearly_slower(with_costs[with_costs["label"] == estimate.label], best)
        ),
        not_kept=order.not_kept,
        reached_by_few=tuple(_reached_by_few(data, outcomes)),
        target=", ".join(dict.fromkeys(outcomes["target_name"])),
        suites=tuple(dict.fromkeys(map(str, runs["suite"]))),
        workloads=tuple(data.workload_title(*pair) for pair in data.workloads if pair in measured),
        seeds=int(runs["seed"].nunique()),
        parameters=tuple(sorted(map(int, runs["num_parameters"].unique()))),
        workers=tuple(sorted(map(int, runs["workers"].unique()))),
    )


def _reached_by_few(data: ReportData, outcomes: pd.DataFrame) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the title of each workload on which at most half of the strategies have a hit, and their labels."""
    by_workload = outcomes.groupby(WORKLOAD, sort=False)
    for (suite, workload), rows in by_workload if by_workload.ngroups > 1 else ():
        labels = rows.loc[rows["reached"].astype(bool), "label"].unique()
        if 2 * len(labels) <= rows["label"].nunique():
            yield data.workload_title(str(suite), str(workload)), tuple(map(str, labels))


def _reference_of(outcomes: pd.DataFrame) -> str:
    labels = outcomes.loc[outcomes["reference"].astype(bool), "label"]
    if labels.empty:
        raise ResultError("the suite has no reference among its finished cells, so there is nothing to compare with")
    return str(labels.iloc[0])


def _add_costs(data: ReportData, outcomes: pd.DataFrame, deployment: Deployment) -> pd.DataFrame:
    """Return the outcomes with the costs for the deployment in the columns that `paired_ratio` reads."""
    ledgers = {str(cell): ledger for cell, ledger in data.ledger.groupby("cell_id")}
    parameters = dict(zip(data.runs["cell_id"], data.runs["num_parameters"], strict=True))
    after_sync = {
        (cell, step): bool(after)
        for cell, step, after in data.evals[["cell_id", "step", "after_sync"]].itertuples(index=False)
    }
    rows = []
    for row in outcomes.to_dict("records"):
        cell, convention = row["cell_id"], data.locks[row["suite"]].convention
        ledger = scale_ledger(ledgers[cell], int(parameters[cell]), deployment.parameters)
        cost = _CellCost(ledger, convention, deployment, int(row["seed"]))
        rows.append(cost.columns({str(name): value for name, value in row.items()}, after_sync))
    costs = pd.DataFrame(rows, index=outcomes.index)
    return outcomes.drop(columns=costs.columns.intersection(outcomes.columns)).join(costs)


def scale_ledger(ledger: pd.DataFrame, measured: int, planned: int) -> pd.DataFrame:
    """Return the ledger that a cell would have with a model of another size.

    Messages grow with the number of parameters. A local state of a monitor does not, unless it is as large as the model
    (the monitor `exact`).

    Args:
        ledger: the ledger of the cell.
        measured: the number of parameters of the cell's model.
        planned: the number of parameters of the other model.

    >>> rows = pd.DataFrame({"kind": ["model", "state"], "payload_bytes": [40, 8], "down_bytes": [40, 8]})
    >>> scale_ledger(rows, 10, 1000)["payload_bytes"].tolist()
    [4000, 8]
    """
    has_fixed_size = (ledger["kind"] == "state") & (ledger["payload_bytes"] < BYTES_PER_NUMBER * measured)
    scaled = {
        name: ledger[name].where(has_fixed_size, (ledger[name] * (planned / measured)).round()).astype("int64")
        for name in ("payload_bytes", "down_bytes")
    }
    return ledger.assign(**scaled)


@dataclass(frozen=True)
class _CellCost:
    """Computes the costs of one cell from its ledger, which is scaled to the deployment."""

    ledger: pd.DataFrame
    convention: str
    deployment: Deployment
    seed: int

    def columns(self, row: Mapping[str, object], after_sync: Mapping[tuple[str, int], bool]) -> dict[str, float]:
        """Return the costs at the hit, at the evaluation before it and at the end, as in `analysis.outcomes`."""
        steps_run = int(row["ran"])  # type: ignore[call-overload]
        end = EvalPoint(steps_run, True)
        at_end = self._time(end)
        num_bytes = float(total_bytes(self.ledger, self.deployment.workers, self.convention).total)
        # a cell that stopped at its last target is extended to its limit at the same cost of a step
        extension = float(row["cost_steps_limit"]) / steps_run  # type: ignore[arg-type]
        limits = {"cost_bytes_limit": num_bytes * extension, "cost_time_limit": at_end.total * extension}
        if not row["reached"]:
            factor = math.nan if row["state"] == "diverged" else 1.0
            return {
                "cost_bytes": num_bytes * factor,
                "cost_bytes_before": math.nan,
                "cost_time": at_end.total * factor,
                "cost_time_before": math.nan,
                "communication": math.nan,
                "waiting": math.nan,
                **{name: value * factor for name, value in limits.items()},
            }
        hit = self._eval_point(row, "step", after_sync)
        before = self._eval_point(row, "step_before", after_sync)
        time = self._time(hit)
        return {
            "cost_bytes": self._bytes(hit),
            "cost_bytes_before": self._bytes(before),
            "cost_time": time.total,
            "cost_time_before": self._time(before).total,
            "communication": time.communication / time.total,
            "waiting": max(time.waiting, 0.0) / time.total,
            **limits,
        }

    def _eval_point(
        self, row: Mapping[str, object], name: str, after_sync: Mapping[tuple[str, int], bool]
    ) -> EvalPoint:
        step = int(row[name])  # type: ignore[call-overload]
        return EvalPoint(max(step, 1), after_sync.get((str(row["cell_id"]), step), False))

    def _bytes(self, point: EvalPoint) -> float:
        return float(bytes_at(self.ledger, point, self.deployment.workers, self.convention).total)

    def _time(self, point: EvalPoint) -> FleetTime:
        plan = self.deployment
        return fleet_time(self.ledger, point, plan.workers, self.convention, plan.fleet, plan.step_s, self.seed)


def _estimate(rows: pd.DataFrame, base: pd.DataFrame, scale: float, leading: bool) -> Estimate:
    """Estimate the costs of the strategy of `rows`; `base` are the rows of the reference."""
    hits = rows[rows["reached"]]
    is_base = rows["label"].iloc[0] == base["label"].iloc[0]
    unit_ratio = Ratio(1.0, 1.0, 1.0, len(hits))
    steps, num_bytes, time = (
        unit_ratio if is_base else paired_ratio(rows, base, f"cost_{cost}") for cost in ("steps", "bytes", "time")
    )
    return Estimate(
        label=str(rows["label"].iloc[0]),
        reached=len(hits),
        runs=len(rows),
        leading=leading,
        steps=steps,
        bytes=num_bytes,
        time=time,
        total_bytes=_absolute(num_bytes, base, "bytes", scale),
        seconds=_absolute(time, base, "time", scale),
        communication=float(hits["communication"].mean()),
        waiting=float(hits["waiting"].mean()),
    )


def _absolute(ratio: Ratio, base: pd.DataFrame, cost: str, scale: float) -> float:
    """Return the cost for the user's number of steps: the ratio times the scaled cost of the reference."""
    factor = math.nan if ratio.bound else ratio.mean
    return factor * scale * geometric_mean(base.loc[base["reached"], f"cost_{cost}"])


def _clearly_slower(rows: pd.DataFrame, best: pd.DataFrame) -> bool:
    """Return whether the interval of the ratio of the times is above 1."""
    ratio = paired_ratio(rows, best, "cost_time")
    return ratio.low > 1 or (math.isnan(ratio.low) and ratio.grid_low > 1)
