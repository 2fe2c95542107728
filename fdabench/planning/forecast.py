"""What a cell sends over its whole budget, in closed form: the ledger before the run.

`fdabench plan` prices every cell of a suite with it, `fdabench plan --extrapolate` the same cells at another size. The
number of syncs is the only quantity that a strategy may leave open; given it, bytes and collectives are exact. Running
statistics of batch normalization (`batchnorm_stats = "averaged"`) are not included.
"""

from typing import NamedTuple

from fdabench.accounting.costs import CONVENTIONS
from fdabench.accounting.network_time import CommunicationDemand, demand
from fdabench.core.strategy import HasTrafficForecast, TrafficForecast
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.planning.memory import BYTES_PER_NUMBER, optimizer_vectors


class RunSize(NamedTuple):
    """How large a run is."""

    workers: int
    parameters: int
    steps: int
    """Local steps of each worker."""


class Forecast(NamedTuple):
    """The ledger of a run in closed form, as a function of its number of syncs."""

    traffic: TrafficForecast
    """Bounds of the number of syncs, and the local states that the strategy sends."""
    size: RunSize
    moments: int
    """Vectors of the local optimizer, one number for each parameter, that are averaged at each sync."""
    convention: str

    def demand(self, syncs: int) -> CommunicationDemand:
        """Bytes and sequential messages of a run with so many syncs.

        A run sends the initial models once, the strategy's local states, and at each sync a model and `moments`
        optimizer vectors.
        """
        cost, workers = CONVENTIONS[self.convention], self.size.workers
        model, state = BYTES_PER_NUMBER * self.size.parameters, BYTES_PER_NUMBER * self.traffic.state_size
        spent = cost["initial"](model, workers) + self.traffic.num_states * cost["state"](state, workers)
        spent += syncs * (cost["model"](model, workers) + self.moments * cost["optimizer"](model, workers))
        collectives = 1 + self.traffic.num_states + syncs * (1 + self.moments)
        return demand(self.size.steps, collectives, spent, workers, self.convention)

    @property
    def low(self) -> CommunicationDemand:
        return self.demand(self.traffic.min_syncs)

    @property
    def high(self) -> CommunicationDemand:
        return self.demand(self.traffic.max_syncs)


class ByteRange(NamedTuple):
    """Bytes that a cell moves: exact where low == high."""

    low: int
    high: int


def run_size(cell: ResolvedCell) -> RunSize:
    """The size at which the suite runs the cell."""
    return RunSize(cell.config.workers, cell.num_parameters, cell.budget_steps)


def forecast(cell: ResolvedCell, size: RunSize, convention: str) -> Forecast | None:
    """What a cell would send if it were run at `size`.

    Args:
        cell: the cell, with the components that it names.
        size: workers, parameters and local steps; `run_size(cell)` for the suite's own.
        convention: a key of `accounting.costs.CONVENTIONS`.

    Returns:
        None for a strategy without `forecast_traffic`.
    """
    strategy = cell.strategy
    if not isinstance(strategy, HasTrafficForecast):
        return None
    moments = optimizer_vectors(cell.optimizer) if cell.optimizer.state_on_sync == "average" else 0
    return Forecast(strategy.forecast_traffic(size.steps, size.parameters), size, moments, convention)


def forecast_bytes(cell: ResolvedCell, convention: str) -> ByteRange | None:
    """Bytes of all workers over the cell's whole budget; None for a strategy without `forecast_traffic`."""
    found = forecast(cell, run_size(cell), convention)
    return None if found is None else ByteRange(found.low.wire_bytes, found.high.wire_bytes)
