"""What a cell sends over its whole budget, in closed form: the ledger before the run.

`fdabench plan` prices every cell of a suite with it, `fdabench plan --extrapolate` the same cells at another size. The
number of syncs is the only quantity that a strategy may leave open; given it, bytes and collectives are exact. Running
statistics of batch normalization (`batchnorm_stats = "averaged"`) are not included.
"""

from typing import NamedTuple

from fdabench.accounting.costs import CONVENTIONS, Message
from fdabench.accounting.network_time import CommunicationDemand, demand
from fdabench.core.codec import Codec
from fdabench.core.ledger import ALL_GATHER, GATHER
from fdabench.core.strategy import HasSyncRule, HasTrafficForecast, MeansForecast, PlannedRun, TrafficForecast
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.optimizers.base import learning_rate, moment_periods
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
    moment_periods: tuple[int, ...]
    """Syncs between two averages of each vector of the local optimizer; empty where none is averaged."""
    convention: str
    model: Message
    """What one worker sends and receives at a sync."""
    corrections: MeansForecast
    """Vectors that the correction averages."""

    def demand(self, syncs: int) -> CommunicationDemand:
        """Bytes and sequential messages of a run with so many syncs.

        A run sends the initial models once, the strategy's local states and the vectors of its correction; at each sync
        a packed or plain model, and the optimizer vectors whose turn it is.
        """
        cost, workers = CONVENTIONS[self.convention], self.size.workers
        vector, state = (
            Message(size, size)
            for size in (BYTES_PER_NUMBER * self.size.parameters, BYTES_PER_NUMBER * self.traffic.state_size)
        )
        states = self.traffic.num_states + syncs * self.traffic.states_per_sync
        models, moments = syncs - self.traffic.num_gradient_syncs, sum(syncs // every for every in self.moment_periods)
        corrections = self.corrections.per_run + syncs * self.corrections.per_sync
        spent = cost["initial"](vector, workers) + states * cost["state"](state, workers)
        spent += models * cost["model"](self.model, workers) + moments * cost["optimizer"](vector, workers)
        spent += corrections * cost["control"](vector, workers)
        collectives = 1 + states + models + moments + corrections
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
    if not isinstance(cell.strategy, HasTrafficForecast):
        return None
    vectors = optimizer_vectors(cell.optimizer) if cell.optimizer.state_on_sync == "average" else 0
    periods = moment_periods(cell.optimizer, vectors) if vectors else ()
    run = PlannedRun(size.steps, size.parameters, lambda t: learning_rate(cell.optimizer, t, size.steps))
    return forecast_strategy(cell.strategy, run, size, periods, convention)


def forecast_strategy(
    strategy: HasTrafficForecast, run: PlannedRun, size: RunSize, periods: tuple[int, ...], convention: str
) -> Forecast:
    """What a strategy would send in a run.

    Args:
        strategy: with its `SyncRule`, if it has one.
        run: what the strategy may know of the run.
        size: workers, parameters and local steps, as in `run`.
        periods: syncs between two averages of each vector of the local optimizer.
        convention: a key of `accounting.costs.CONVENTIONS`.
    """
    vector = BYTES_PER_NUMBER * size.parameters
    rule = strategy.rule if isinstance(strategy, HasSyncRule) else None
    model = Message(vector, vector) if rule is None or rule.codec is None else _packed(rule.codec, size)
    correction = None if rule is None else rule.correction
    corrections = MeansForecast(0, 0) if correction is None else correction.forecast_means(run)
    return Forecast(strategy.forecast_traffic(run), size, periods, convention, model, corrections)


def _packed(codec: Codec, size: RunSize) -> Message:
    """What one worker sends and receives at a sync with a codec."""
    up = codec.message_size(size.parameters)
    down = {"dense": BYTES_PER_NUMBER * size.parameters, "recode": up, "all": (size.workers - 1) * up}
    return Message(up, down[codec.reply], ALL_GATHER if codec.reply == "all" else GATHER)


def forecast_bytes(cell: ResolvedCell, convention: str) -> ByteRange | None:
    """Bytes of all workers over the cell's whole budget; None for a strategy without `forecast_traffic`."""
    found = forecast(cell, run_size(cell), convention)
    return None if found is None else ByteRange(found.low.wire_bytes, found.high.wire_bytes)
