"""Estimates the cost of strategies at sizes that cannot be run, in closed form and with measured sync rates.

`fdabench plan --extrapolate` calls `estimate_costs`. Bytes are integers without an upper limit. The field `basis` of an
estimate is the source of its number of syncs: "exact" (a periodic strategy), "measured" (in cells of another size),
"bound" (the bounds that the strategy declares), or "unknown".
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from statistics import median
from typing import Literal, NamedTuple

from fdabench.accounting.costs import total_bytes
from fdabench.accounting.fleets import Fleet
from fdabench.accounting.network_time import CommunicationVolume
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
    """The sync rate and the speed of the cells of a strategy on a workload, over their seeds."""

    rate: Fraction
    """The number of syncs divided by the number of local steps."""
    step_s: float
    """Seconds of a local step of one worker on one core of the machine that ran the cells, including evaluations."""
    cells: int
    """The number of measured cells."""
    predictions_hold: int
    """The number of cells whose ledger has exactly the bytes of the closed form for their number of syncs."""


class CostEstimate(NamedTuple):
    """The estimated cost of one strategy on one workload."""

    cell: Cell
    """The first of the cells, which differ only in their seeds."""
    measured_at: RunSize
    """The size of the cells in the suite."""
    projected_to: RunSize
    """The size of the estimate."""
    theta: float | None
    """Theta at the projected size, scaled with the number of parameters; None if the strategy has no theta."""
    basis: Basis
    syncs: tuple[int, int] | None
    """The lowest and the highest number of syncs."""
    volumes: tuple[CommunicationVolume, CommunicationVolume] | None
    """The communication for the lowest and the highest number of syncs."""
    memory: int
    """The bytes of a process with one worker."""
    compute_s: float | None
    """The seconds of the local steps of one worker; None if the time of a step is not measured."""
    measured: MeasuredSyncRate | None
    """The measured rate; None if no cell is complete."""
    fleet_seconds: Mapping[str, tuple[float, float]] = {}
    """The seconds of the run on each fleet for the lowest and the highest number of syncs.

    A fleet is missing if the time of a step is not measured or the run has too many step times to draw.
    """


class TargetScale(NamedTuple):
    """The projected size. A field that is None has the value of the suite."""

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
        cells: the cells of one suite.
        scale: the projected size.
        convention: a key of `accounting.costs.CONVENTIONS`.
        results: the results of the suite, from which sync rates are measured; None to use closed forms only.
        registry: the registry of the components of the cells.
        fleets: the fleets, by name, on which the time of the run is estimated.

    Returns:
        One estimate for each strategy and workload, in the order of the suite.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(
            Cell(cell.config.model_copy(update={"seed": 0}), cell.label, False).canonical_json, []
        ).append(cell)
    return [_estimate(group, scale, convention, results, registry, fleets) for group in groups.values()]


def _estimate(
    group: Sequence[Cell],
    scale: TargetScale,
    convention: str,
    results: Results | None,
    registry: Registry,
    fleets: Mapping[str, Fleet],
) -> CostEstimate:
    cell = ResolvedCell(group[0].config, registry)
    own_size = run_size(cell)
    target_size = RunSize(*(old if new is None else new for old, new in zip(own_size, scale, strict=True)))
    measured = _measured(group, convention, results, registry)
    growth = Fraction(target_size.parameters, own_size.parameters)
    theta = getattr(cell.strategy, "theta", None)
    prediction = forecast(cell, target_size, convention)
    basis, syncs, volumes = _syncs(prediction, measured)
    step_s = None if measured is None else float(growth) * measured.step_s
    return CostEstimate(
        group[0],
        own_size,
        target_size,
        None if theta is None else float(theta * growth),
        basis,
        syncs,
        volumes,
        process_bytes(cell, target_size.parameters),
        None if measured is None else float(target_size.steps * growth) * measured.step_s,
        measured,
        {}
        if prediction is None or syncs is None or step_s is None
        else _fleet_seconds(prediction, syncs, fleets, step_s),
    )


def _fleet_seconds(
    prediction: Forecast, syncs: tuple[int, int], fleets: Mapping[str, Fleet], step_s: float
) -> dict[str, tuple[float, float]]:
    times = {
        name: [seconds_on_fleet(prediction, count, fleet, step_s) for count in syncs] for name, fleet in fleets.items()
    }
    return {name: (low, high) for name, (low, high) in times.items() if low is not None and high is not None}


def _syncs(
    prediction: Forecast | None, measured: MeasuredSyncRate | None
) -> tuple[Basis, tuple[int, int] | None, tuple[CommunicationVolume, CommunicationVolume] | None]:
    """Return the basis, the lowest and highest number of syncs, and the communication of each."""
    if prediction is None:
        return "unknown", None, None
    least, most = prediction.traffic.min_syncs, prediction.traffic.max_syncs
    if least == most:
        return "exact", (least, most), (prediction.low, prediction.high)
    if measured is None:
        return "bound", (least, most), (prediction.low, prediction.high)
    # a rate measured at another size may be outside the bounds of the projected size
    syncs = min(max(round(measured.rate * prediction.size.steps), least), most)
    return "measured", (syncs, syncs), (prediction.volume(syncs), prediction.volume(syncs))


def _measured(
    group: Sequence[Cell], convention: str, results: Results | None, registry: Registry
) -> MeasuredSyncRate | None:
    """Return the rate over the seeds whose cells are complete; None if there are none."""
    if results is None:
        return None
    cell_ids = measured_cells(group, results, registry)
    if not cell_ids:
        return None
    own_runs = results.runs.set_index("cell_id").loc[cell_ids]
    rate = Fraction(int(own_runs["syncs"].sum()), int(own_runs["steps"].sum()))
    equal = sum(
        _predictions_hold(group[0], cell_id, int(steps), int(syncs), convention, results, registry)
        for cell_id, steps, syncs in zip(cell_ids, own_runs["steps"], own_runs["syncs"], strict=True)
    )
    speed = median(_worker_steps_per_s(cell_id, results) for cell_id in cell_ids)
    return MeasuredSyncRate(rate, 1 / speed, len(cell_ids), equal)


def measured_cells(group: Sequence[Cell], results: Results, registry: Registry = BUILT_IN) -> list[str]:
    """Return the ids of the complete cells from which the sync rate of a strategy on a workload is measured.

    A real run with `fdabench.sync` has no suite, so its cells are used if the strategy, the number of workers and the
    number of parameters are equal.

    Args:
        group: cells of a suite that differ only in their seeds.
        results: the results of the suite, or of real runs.
        registry: the registry of the components of the cells.
    """
    runs, config = results.runs.set_index("cell_id"), group[0].config
    complete = set(runs.index[runs["state"].isin(_COMPLETE)])
    cell_ids = [cell.id for cell in group if cell.id in complete]
    if cell_ids or results.lock.source != OWN_LOOP:
        return cell_ids
    parameters = run_size(ResolvedCell(config, registry)).parameters
    return [
        locked.id
        for locked in results.lock.cell
        if locked.id in complete
        and locked.config.strategy == config.strategy
        and locked.config.workers == config.workers
        and runs.at[locked.id, "num_parameters"] == parameters
    ]


def _worker_steps_per_s(cell_id: str, results: Results) -> float:
    """Return the local steps of one worker per second of one core.

    The workers of a simulation run one after the other, so the record has their common speed. Those of a real run are
    parallel; the measured seconds of their collectives are subtracted.
    """
    run = results.runs[results.runs["cell_id"] == cell_id]
    if results.records[cell_id].engine != OWN_LOOP:
        return float(run["worker_steps_per_s"].item())
    collective_s = results.wire.loc[results.wire["cell_id"] == cell_id, "seconds"].sum()
    return float(run["steps"].item() / (run["wall_s"].item() - collective_s))


def _predictions_hold(
    cell: Cell, cell_id: str, steps: int, syncs: int, convention: str, results: Results, registry: Registry
) -> bool:
    """Return whether the ledger of a cell has exactly the bytes of the forecast for its numbers of steps and syncs."""
    resolved = ResolvedCell(cell.config, registry)
    size = run_size(resolved)._replace(steps=steps)
    prediction = forecast(resolved, size, convention)
    ledger = results.ledger[results.ledger["cell_id"] == cell_id]
    return (
        prediction is not None
        and prediction.volume(syncs).wire_bytes == total_bytes(ledger, size.workers, convention).total
    )
