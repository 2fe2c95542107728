"""Estimates the cost of strategies at sizes that cannot be run here, in closed form and with measured sync rates.

`fdabench plan --extrapolate` calls `estimate_costs`. Bytes are integers of any size. The field `basis` of an estimate
is the source of its number of syncs: exact (a periodic strategy), measured (in cells of another size), or a bound.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from statistics import median
from typing import Literal, NamedTuple

from fdabench.accounting.costs import total_bytes
from fdabench.accounting.fleets import Fleet
from fdabench.accounting.network_time import CommunicationDemand
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.planning.fleet_forecast import seconds_on_fleet
from fdabench.planning.forecast import Forecast, RunSize, forecast, run_size
from fdabench.planning.memory import process_bytes
from fdabench.registry.registry import BUILT_IN, Registry
from fdabench.results.cell_record import OWN_LOOP
from fdabench.results.load import Results
from fdabench.suite.cell import Cell

Basis = Literal["exact", "measured", "bound", "unknown"]

_COMPLETE = ("done", "target_reached")


class MeasuredSyncRate(NamedTuple):
    """The sync rate and speed of a strategy's cells with the same workers, over their seeds."""

    rate: Fraction
    """Syncs for each local step."""
    step_s: float
    """Seconds of a local step of one worker on one core of the machine that ran the cells, including evaluations."""
    cells: int
    predictions_hold: int
    """Cells whose ledger has exactly the bytes of the closed form for their number of syncs."""


class CostEstimate(NamedTuple):
    """The estimated cost of one strategy on one workload."""

    cell: Cell
    """The first of the cells, which differ only in their seeds."""
    measured_at: RunSize
    projected_to: RunSize
    theta: float | None
    """Theta at the projected size, scaled with the number of parameters; None if the strategy has no theta."""
    basis: Basis
    syncs: tuple[int, int] | None
    """The lowest and the highest number of syncs."""
    demands: tuple[CommunicationDemand, CommunicationDemand] | None
    memory: int
    """Bytes of a process with one worker."""
    compute_s: float | None
    measured: MeasuredSyncRate | None
    fleet_seconds: Mapping[str, tuple[float, float]] = {}
    """The time of the run on each fleet for the lowest and the highest number of syncs; a fleet is missing where the
    time of a step is not measured or the run is too large to draw its step times."""


class TargetScale(NamedTuple):
    """The projected size. Fields that are None are as in the suite."""

    workers: int | None = None
    parameters: int | None = None
    steps: int | None = None


def estimate_costs(
    cells: Sequence[Cell],
    scale: TargetScale,
    convention: str,
    results: Results | None = None,
    registry: Registry = BUILT_IN,
    fleets: Mapping[str, Fleet] = {},
) -> list[CostEstimate]:
    """Estimate the cost of each strategy on each workload, over all seeds.

    Args:
        cells: of one suite.
        scale: the size to estimate for.
        convention: a key of `accounting.costs.CONVENTIONS`.
        results: of the suite, from which sync rates are measured; None: only closed forms are used.
        registry: the components that the cells name.
        fleets: machines to estimate the time of the run on, by name.

    Returns:
        One estimate for each strategy and workload, in the order of the suite.
    """
    alike: dict[str, list[Cell]] = {}
    for cell in cells:
        alike.setdefault(Cell(cell.config.model_copy(update={"seed": 0}), cell.label, False).canonical_json, []).append(
            cell
        )
    return [_estimate(group, scale, convention, results, registry, fleets) for group in alike.values()]


def _estimate(
    group: Sequence[Cell],
    scale: TargetScale,
    convention: str,
    results: Results | None,
    registry: Registry,
    fleets: Mapping[str, Fleet],
) -> CostEstimate:
    cell = ResolvedCell(group[0].config, registry)
    here = run_size(cell)
    there = RunSize(*(old if new is None else new for old, new in zip(here, scale, strict=True)))
    measured = _measured(group, convention, results, registry)
    growth = Fraction(there.parameters, here.parameters)
    theta = getattr(cell.strategy, "theta", None)
    found = forecast(cell, there, convention)
    basis, syncs, demands = _syncs(found, measured)
    step_s = None if measured is None else float(growth) * measured.step_s
    return CostEstimate(
        group[0],
        here,
        there,
        None if theta is None else float(theta * growth),
        basis,
        syncs,
        demands,
        process_bytes(cell, there.parameters),
        None if measured is None else float(there.steps * growth) * measured.step_s,
        measured,
        {} if found is None or syncs is None or step_s is None else _fleet_seconds(found, syncs, fleets, step_s),
    )


def _fleet_seconds(
    found: Forecast, syncs: tuple[int, int], fleets: Mapping[str, Fleet], step_s: float
) -> dict[str, tuple[float, float]]:
    times = {name: [seconds_on_fleet(found, count, fleet, step_s) for count in syncs] for name, fleet in fleets.items()}
    return {name: (low, high) for name, (low, high) in times.items() if low is not None and high is not None}


def _syncs(
    found: Forecast | None, measured: MeasuredSyncRate | None
) -> tuple[Basis, tuple[int, int] | None, tuple[CommunicationDemand, CommunicationDemand] | None]:
    """The number of syncs and its cost: exact, from the measured rate, or the bounds that the strategy declares."""
    if found is None:
        return "unknown", None, None
    least, most = found.traffic.min_syncs, found.traffic.max_syncs
    if least == most:
        return "exact", (least, most), (found.low, found.high)
    if measured is None:
        return "bound", (least, most), (found.low, found.high)
    # a rate measured at another size may be outside the bounds of the projected size
    syncs = min(max(round(measured.rate * found.size.steps), least), most)
    return "measured", (syncs, syncs), (found.demand(syncs), found.demand(syncs))


def _measured(
    group: Sequence[Cell], convention: str, results: Results | None, registry: Registry
) -> MeasuredSyncRate | None:
    """The rate over the seeds whose cells are complete; None if there are none."""
    if results is None:
        return None
    found = measured_cells(group, results, registry)
    if not found:
        return None
    mine = results.runs.set_index("cell_id").loc[found]
    rate = Fraction(int(mine["syncs"].sum()), int(mine["steps"].sum()))
    equal = sum(
        _predictions_hold(group[0], cell_id, int(steps), int(syncs), convention, results, registry)
        for cell_id, steps, syncs in zip(found, mine["steps"], mine["syncs"], strict=True)
    )
    return MeasuredSyncRate(rate, median(_step_seconds(cell_id, results) for cell_id in found), len(found), equal)


def measured_cells(group: Sequence[Cell], results: Results, registry: Registry = BUILT_IN) -> list[str]:
    """The ids of the complete cells from which the sync rate of a strategy on a workload is measured.

    A real run with `fdabench.sync` does not know the suite, so it is taken if the strategy, the number of workers and
    the number of parameters are equal.

    Args:
        group: cells of a suite that differ only in their seeds.
        results: of the suite, or of real runs.
        registry: the components that the cells name.
    """
    runs, config = results.runs.set_index("cell_id"), group[0].config
    complete = set(runs.index[runs["state"].isin(_COMPLETE)])
    found = [cell.id for cell in group if cell.id in complete]
    if found or results.lock.source != OWN_LOOP:
        return found
    parameters = run_size(ResolvedCell(config, registry)).parameters
    return [
        each.id
        for each in results.lock.cell
        if each.id in complete
        and each.config.strategy == config.strategy
        and each.config.workers == config.workers
        and runs.at[each.id, "num_parameters"] == parameters
    ]


def _step_seconds(cell_id: str, results: Results) -> float:
    """Seconds of a local step of one worker.

    The workers of a simulation take turns. Those of a real run are parallel, and the seconds of their collectives were
    measured.
    """
    run = results.runs.set_index("cell_id").loc[cell_id]
    if results.records[cell_id].engine != OWN_LOOP:
        return float(1 / run["worker_steps_per_s"])
    collectives = results.wire.loc[results.wire["cell_id"] == cell_id, "seconds"].sum()
    return float(max(0.0, run["wall_s"] - collectives) / run["steps"])


def _predictions_hold(
    cell: Cell, cell_id: str, steps: int, syncs: int, convention: str, results: Results, registry: Registry
) -> bool:
    """Whether the ledger of a cell has exactly the bytes of the forecast for its numbers of steps and syncs."""
    resolved = ResolvedCell(cell.config, registry)
    size = run_size(resolved)._replace(steps=steps)
    found = forecast(resolved, size, convention)
    ledger = results.ledger[results.ledger["cell_id"] == cell_id]
    return found is not None and found.demand(syncs).wire_bytes == total_bytes(ledger, size.workers, convention).total
