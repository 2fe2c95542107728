"""What strategies would cost far beyond the machines at hand: in closed form, from sync rates that were measured.

Bytes are whole numbers of any size. What is not known is said: a sync rate is exact (a periodic strategy), measured (in
other cells, and taken over), or a bound.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

from fdabench.catalogue.kinds import BUILT_IN, Catalogue
from fdabench.core.strategy import Forecasts, Traffic
from fdabench.results.costs import CONVENTIONS, total_bytes
from fdabench.results.load import Results
from fdabench.results.networks import Demand, demand
from fdabench.run.footprint import BYTES_PER_NUMBER, optimizer_vectors, process_bytes
from fdabench.run.setting import Config, budget_of, scale_of, strategy_of
from fdabench.suite.cell import Cell

Basis = Literal["exact", "measured", "bound", "unknown"]

_COMPLETE = ("done", "target_reached")


class Size(NamedTuple):
    """How large a run is."""

    workers: int
    parameters: int
    steps: int
    """Local steps of each worker."""


class Measured(NamedTuple):
    """What results say of a strategy's cells with the same workers, over their seeds."""

    rate: Fraction
    """Syncs in each local step."""
    step_s: float
    """Seconds of one worker's local step on a core of the machine that ran them, evaluations included."""
    cells: int
    as_predicted: int
    """Cells whose ledger holds exactly the bytes of the closed form, given their syncs."""


class Estimate(NamedTuple):
    """What one strategy would cost."""

    cell: Cell
    """The first of its cells."""
    here: Size
    there: Size
    theta: float | None
    """With as much for each parameter as here."""
    basis: Basis
    syncs: tuple[int, int] | None
    """At least and at most."""
    demands: tuple[Demand, Demand] | None
    memory: int
    """Bytes of a process with one worker."""
    compute_s: float | None
    measured: Measured | None


class Wish(NamedTuple):
    """What is to be larger than in the suite; None: as it is there."""

    workers: int | None = None
    parameters: int | None = None
    steps: int | None = None


def estimates(
    cells: Sequence[Cell], wish: Wish, convention: str, results: Results | None = None, catalogue: Catalogue = BUILT_IN
) -> list[Estimate]:
    """One for each strategy and workload of the suite, in its order; seeds are taken together."""
    alike: dict[str, list[Cell]] = {}
    for cell in cells:
        alike.setdefault(Cell({**cell.config, "seed": 0}, cell.label, False).canonical, []).append(cell)
    return [_estimate(group, wish, convention, results, catalogue) for group in alike.values()]


def _estimate(
    group: Sequence[Cell], wish: Wish, convention: str, results: Results | None, catalogue: Catalogue
) -> Estimate:
    config, strategy = group[0].config, strategy_of(group[0].config, catalogue)
    here = Size(config["workers"], scale_of(config, catalogue).num_parameters, budget_of(config, catalogue))
    there = Size(*(old if new is None else new for old, new in zip(here, wish, strict=True)))
    measured = _measured(group, convention, results, catalogue)
    growth = Fraction(there.parameters, here.parameters)
    theta = getattr(strategy, "theta", None)
    basis, syncs, demands = _traffic(strategy, config, there, convention, measured, catalogue)
    return Estimate(
        group[0],
        here,
        there,
        None if theta is None else float(theta * growth),
        basis,
        syncs,
        demands,
        process_bytes(config, there.parameters, catalogue),
        None if measured is None else float(there.steps * growth) * measured.step_s,
        measured,
    )


def _traffic(
    strategy: object, config: Config, there: Size, convention: str, measured: Measured | None, catalogue: Catalogue
) -> tuple[Basis, tuple[int, int] | None, tuple[Demand, Demand] | None]:
    if not isinstance(strategy, Forecasts):
        return "unknown", None, None
    traffic = strategy.traffic(there.steps, there.parameters)
    basis: Basis = "exact" if traffic.least_syncs == traffic.most_syncs else "bound"
    least, most = traffic.least_syncs, traffic.most_syncs
    if basis == "bound" and measured is not None:
        syncs = min(max(round(measured.rate * there.steps), least), most)
        basis, least, most = "measured", syncs, syncs
    moments = _averaged_moments(config, catalogue)
    low, high = (_demand(traffic, there, syncs, moments, convention) for syncs in (least, most))
    return basis, (least, most), (low, high)


def _demand(traffic: Traffic, size: Size, syncs: int, moments: int, convention: str) -> Demand:
    """The ledger in closed form: the initial models, the local states, the syncs, and moments averaged at each."""
    cost, workers = CONVENTIONS[convention], size.workers
    model, state = BYTES_PER_NUMBER * size.parameters, BYTES_PER_NUMBER * traffic.state_size
    spent = cost["initial"](model, workers) + traffic.states * cost["state"](state, workers)
    spent += syncs * (cost["model"](model, workers) + moments * cost["optimizer"](model, workers))
    collectives = 1 + traffic.states + syncs * (1 + moments)
    return demand(size.steps, collectives, spent, workers, convention)


def _averaged_moments(config: Config, catalogue: Catalogue) -> int:
    """Vectors of the local optimizer that are averaged at a sync."""
    return optimizer_vectors(config, catalogue) if config["optimizer"].get("at_sync") == "average" else 0


def _measured(group: Sequence[Cell], convention: str, results: Results | None, catalogue: Catalogue) -> Measured | None:
    """Over the seeds that have a whole result; None where there is none."""
    if results is None:
        return None
    runs = results.runs.set_index("cell_id")
    found = [cell for cell in group if cell.id in runs.index and runs.at[cell.id, "state"] in _COMPLETE]
    if not found:
        return None
    mine = runs.loc[[cell.id for cell in found]]
    rate = Fraction(int(mine["syncs"].sum()), int(mine["steps"].sum()))
    equal = sum(
        _as_predicted(cell, int(steps), int(syncs), convention, results, catalogue)
        for cell, steps, syncs in zip(found, mine["steps"], mine["syncs"], strict=True)
    )
    return Measured(rate, float(1 / mine["worker_steps_per_s"].median()), len(found), equal)


def _as_predicted(cell: Cell, steps: int, syncs: int, convention: str, results: Results, catalogue: Catalogue) -> bool:
    strategy = strategy_of(cell.config, catalogue)
    if not isinstance(strategy, Forecasts):
        return False
    size = Size(cell.config["workers"], scale_of(cell.config, catalogue).num_parameters, steps)
    traffic = strategy.traffic(size.steps, size.parameters)
    moments = _averaged_moments(cell.config, catalogue)
    predicted = _demand(traffic, size, syncs, moments, convention).wire_bytes
    ledger = results.ledger[results.ledger["cell_id"] == cell.id]
    return predicted == total_bytes(ledger, size.workers, convention).total
