"""Estimates which strategy would be fastest on a user's own machines, from results that were measured at another size.

`fdabench advise` calls `advise`. Each cell of the results keeps its local steps and its collectives. What changes is
their price: a message that carries weights grows with the number of parameters, a collective is priced for the user's
number of workers, and the time of a run is computed on the user's fleet (`accounting.fleets`). The ratios to the
reference and their intervals are then computed over the same pairs of workload and seed as in a report.

So the estimate assumes that two measured quantities carry over to the other size: how many times the reference's local
steps a strategy needs to reach the target, and after which share of its local steps it synchronizes.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from fdabench.accounting.costs import EvalPoint, bytes_at, total_bytes
from fdabench.accounting.fleets import Fleet, FleetTime, fleet_time
from fdabench.analysis.data import ReportData
from fdabench.analysis.order import order_strategies
from fdabench.analysis.stats import Ratio, geometric_mean, paired_ratio
from fdabench.errors import ResultError
from fdabench.planning.memory import BYTES_PER_NUMBER

FEW_SEEDS = 3
"""With fewer seeds, intervals are wide or missing, and the advice says so."""


@dataclass(frozen=True)
class Deployment:
    """The training that a user plans.

    Args:
        parameters: trainable parameters of the model.
        workers: K.
        fleet: the machines and the links between them.
        step_s: the mean seconds of one local step of a machine of speed 1.
        steps: local steps in which the reference would reach the user's goal; absolute costs are for so many.
    """

    parameters: int
    workers: int
    fleet: Fleet
    step_s: float
    steps: int


@dataclass(frozen=True)
class Estimate:
    """What one strategy would cost until it reaches what the reference reaches.

    Args:
        label: of the strategy.
        reached, runs: the measured cells that reached the target, and all finished ones.
        leading: whether it reached the target as often as the other strategies (`analysis.order`).
        steps, bytes, time: how many times the reference's cost; 1 for the reference itself.
        total_bytes: bytes over all workers; NaN if no cell reached the target.
        seconds: the time of the run; likewise.
        communication, waiting: the share of the time in collectives, and waiting for slower workers.
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
    """The estimates, the fastest strategy first, and what they rest on.

    Args:
        reference: the label of the strategy that the others are compared with.
        estimates: those that reached the target as often as any come first, by time.
        level: labels of strategies that are not clearly slower than the first, without the first itself.
        target: the target, as figures write it.
        workloads: titles of the workloads that were measured.
        seeds: how many seeds were measured.
        parameters, workers: the numbers of parameters and of workers that were measured, in order.
    """

    reference: str
    estimates: tuple[Estimate, ...]
    level: tuple[str, ...]
    target: str
    workloads: tuple[str, ...]
    seeds: int
    parameters: tuple[int, ...]
    workers: tuple[int, ...]


def advise(data: ReportData, deployment: Deployment, cells: Collection[str] | None = None) -> Advice:
    """Estimate the cost of each strategy of the results in the user's training.

    Args:
        data: of one results folder or several.
        deployment: the user's training.
        cells: keys of the cells to use, as in `data.runs["cell_id"]`; None: all.

    Raises:
        ResultError: no strategy reached the headline target, or no finished cell is of the reference.
    """
    outcomes = data.at_suite_target
    if cells is not None:
        outcomes = outcomes[outcomes["cell_id"].isin(cells)]
    if outcomes.empty or not outcomes["reached"].any():
        raise ResultError("no finished cell reached the headline target, so there are no costs to estimate from")
    reference = _reference_of(outcomes)
    priced = _price(data, outcomes, deployment)
    base = priced[priced["label"] == reference]
    scale = deployment.steps / geometric_mean(base.loc[base["reached"], "cost_steps"])
    if math.isnan(scale):
        raise ResultError(
            f"{reference}, the reference, did not reach the headline target, so there is no scale of steps"
        )
    order = order_strategies(outcomes)
    estimates_by_label = [
        _estimate(rows, base, scale, str(name) in order.leading) for name, rows in priced.groupby("label")
    ]
    estimates = tuple(
        sorted(
            estimates_by_label, key=lambda estimate: (not estimate.leading, not estimate.reached, estimate.time.mean)
        )
    )
    best = priced[priced["label"] == estimates[0].label]
    runs = data.runs[data.runs["cell_id"].isin(outcomes["cell_id"])]
    measured = set(zip(runs["suite"], runs["workload"], strict=True))
    return Advice(
        reference=reference,
        estimates=estimates,
        level=tuple(
            estimate.label
            for estimate in estimates[1:]
            if estimate.leading and not _clearly_more(priced[priced["label"] == estimate.label], best)
        ),
        target=", ".join(dict.fromkeys(outcomes["target_name"])),
        workloads=tuple(data.workload_title(*pair) for pair in data.workloads if pair in measured),
        seeds=int(runs["seed"].nunique()),
        parameters=tuple(sorted(map(int, runs["num_parameters"].unique()))),
        workers=tuple(sorted(map(int, runs["workers"].unique()))),
    )


def _reference_of(outcomes: pd.DataFrame) -> str:
    labels = outcomes.loc[outcomes["reference"].astype(bool), "label"]
    if labels.empty:
        raise ResultError("the suite has no reference among its finished cells, so there is nothing to compare with")
    return str(labels.iloc[0])


def _price(data: ReportData, outcomes: pd.DataFrame, deployment: Deployment) -> pd.DataFrame:
    """The outcomes with the costs that `paired_ratio` needs, priced for the deployment: `cost_bytes`, `cost_time`."""
    ledgers = {str(cell): of_cell for cell, of_cell in data.ledger.groupby("cell_id")}
    parameters = dict(zip(data.runs["cell_id"], data.runs["num_parameters"], strict=True))
    moments = {
        (cell, step): bool(after)
        for cell, step, after in data.evals[["cell_id", "step", "after_sync"]].itertuples(index=False)
    }
    rows = []
    for row in outcomes.to_dict("records"):
        cell, convention = row["cell_id"], data.locks[row["suite"]].convention
        ledger = scale_ledger(ledgers[cell], int(parameters[cell]), deployment.parameters)
        cost = _CellCost(ledger, convention, deployment, int(row["seed"]))
        rows.append(cost.columns({str(name): value for name, value in row.items()}, moments))
    costs = pd.DataFrame(rows, index=outcomes.index)
    return outcomes.drop(columns=costs.columns.intersection(outcomes.columns)).join(costs)


def scale_ledger(ledger: pd.DataFrame, measured: int, planned: int) -> pd.DataFrame:
    """Return the ledger of a cell as a model of another size would have it.

    Messages grow with the number of parameters. A local state of a monitor does not, unless it is as large as the model
    (the monitor `exact`).

    Args:
        ledger: of the cell.
        measured: parameters of the cell's model.
        planned: parameters of the other model.

    >>> rows = pd.DataFrame({"kind": ["model", "state"], "payload_bytes": [40, 8], "down_bytes": [40, 8]})
    >>> scale_ledger(rows, 10, 1000)["payload_bytes"].tolist()
    [4000, 8]
    """
    fixed = (ledger["kind"] == "state") & (ledger["payload_bytes"] < BYTES_PER_NUMBER * measured)
    grown = {
        name: ledger[name].where(fixed, (ledger[name] * (planned / measured)).round()).astype("int64")
        for name in ("payload_bytes", "down_bytes")
    }
    return ledger.assign(**grown)


@dataclass(frozen=True)
class _CellCost:
    """The ledger of one cell, scaled to the deployment, with its prices."""

    ledger: pd.DataFrame
    convention: str
    deployment: Deployment
    seed: int

    def columns(self, row: Mapping[str, object], moments: Mapping[tuple[str, int], bool]) -> dict[str, float]:
        """Return the costs at the hit, at the evaluation before it and at the end, as in `analysis.outcomes`."""
        ran = int(row["ran"])  # type: ignore[call-overload]
        end = EvalPoint(ran, True)
        at_end = self._time(end)
        num_bytes = float(total_bytes(self.ledger, self.deployment.workers, self.convention).total)
        # a cell that stopped at its last target would have gone on at the same cost of a step
        rest = float(row["cost_steps_limit"]) / ran  # type: ignore[arg-type]
        limits = {"cost_bytes_limit": num_bytes * rest, "cost_time_limit": at_end.total * rest}
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
        hit = self._moment(row, "step", moments)
        before = self._moment(row, "step_before", moments)
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

    def _moment(self, row: Mapping[str, object], name: str, moments: Mapping[tuple[str, int], bool]) -> EvalPoint:
        step = int(row[name])  # type: ignore[call-overload]
        return EvalPoint(max(step, 1), moments.get((str(row["cell_id"]), step), False))

    def _bytes(self, at: EvalPoint) -> float:
        return float(bytes_at(self.ledger, at, self.deployment.workers, self.convention).total)

    def _time(self, at: EvalPoint) -> FleetTime:
        plan = self.deployment
        return fleet_time(self.ledger, at, plan.workers, self.convention, plan.fleet, plan.step_s, self.seed)


def _estimate(rows: pd.DataFrame, base: pd.DataFrame, scale: float, leading: bool) -> Estimate:
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
    """The cost for the user's number of steps: the ratio times the reference's."""
    factor = math.nan if ratio.bound else ratio.mean
    return factor * scale * geometric_mean(base.loc[base["reached"], f"cost_{cost}"])


def _clearly_more(rows: pd.DataFrame, best: pd.DataFrame) -> bool:
    """Whether the interval of the ratio of the times is above 1."""
    ratio = paired_ratio(rows, best, "cost_time")
    return ratio.low > 1 or (math.isnan(ratio.low) and ratio.grid_low > 1)
