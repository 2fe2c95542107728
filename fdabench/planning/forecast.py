"""Computes the communication of a cell over its whole budget in closed form, without running it.

`fdabench plan` uses it for the cells of a suite, and `fdabench plan --extrapolate` for the same cells at another size.
The number of syncs may be unknown; for each number of syncs, bytes and collectives are exact. Running
statistics of batch normalization (`batchnorm_stats = "averaged"`) are not included.
"""

from typing import NamedTuple

from fdabench.accounting.costs import CONVENTIONS, Message
from fdabench.accounting.network_time import CommunicationVolume, communication_volume
from fdabench.core.codec import Codec, LinearCodec, reply_cost
from fdabench.core.schedule import fragment_slices
from fdabench.core.strategy import HasSyncRule, HasTrafficForecast, MeansForecast, PlannedRun, TrafficForecast
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.optimizers.base import learning_rate, moment_periods
from fdabench.planning.memory import BYTES_PER_NUMBER, optimizer_vectors


class RunSize(NamedTuple):
    """The size of a run."""

    workers: int
    parameters: int
    steps: int
    """Local steps of each worker."""


class Forecast(NamedTuple):
    """The ledger of a run in closed form, as a function of its number of syncs."""

    traffic: TrafficForecast
    """The bounds of the number of syncs, and the number and the size of the local states of the strategy."""
    size: RunSize
    moment_periods: tuple[int, ...]
    """For each vector of the local optimizer, the syncs between two averages of it; empty if none is averaged."""
    convention: str
    """A key of `accounting.costs.CONVENTIONS`."""
    models: tuple[Message, ...]
    """The message of one worker for the model at a sync; with fragments, one message for the syncs of each in turn."""
    corrections: MeansForecast
    """The number of vectors that the correction averages, in each run and at each sync."""
    factors: tuple[Message, ...] = ()
    """The further messages of one worker at a sync: those of a linear codec after the first."""
    sent_base: int = 0
    """The number of frozen parameters that each worker receives at the start."""

    def volume(self, syncs: int) -> CommunicationVolume:
        """Return the bytes and sequential messages of a run with this number of syncs.

        Workers send the initial model once, the local states of the strategy, and the vectors of its correction. At
        each sync they send the model, encoded if there is a codec, and the optimizer vectors that are averaged at this
        sync. Where a sync averages only some layers, they are not known in advance, and the bytes are those of all
        layers.
        """
        cost, workers = CONVENTIONS[self.convention], self.size.workers
        vector, state = (
            Message(size, size)
            for size in (BYTES_PER_NUMBER * self.size.parameters, BYTES_PER_NUMBER * self.traffic.state_size)
        )
        states = self.num_states(syncs)
        models, fragments = syncs - self.traffic.num_gradient_syncs, len(self.models)
        moments = sum(syncs // period for period in self.moment_periods)
        corrections = self.corrections.per_run + syncs * self.corrections.per_sync
        wire_bytes = cost["initial"](vector, workers) + states * cost["state"](state, workers)
        for index, model in enumerate(self.models):  # fragment i is sent at the syncs i, i + fragments, ...
            wire_bytes += (models + fragments - 1 - index) // fragments * cost["model"](model, workers)
        wire_bytes += models * sum(cost["factor"](factor, workers) for factor in self.factors)
        wire_bytes += moments * cost["optimizer"](vector, workers)
        wire_bytes += corrections * cost["control"](vector, workers)
        base = BYTES_PER_NUMBER * self.sent_base
        wire_bytes += cost["base"](Message(base, base), workers)
        collectives = 1 + (base > 0) + states + models * (1 + len(self.factors)) + moments + corrections
        return communication_volume(self.size.steps, collectives, wire_bytes, workers, self.convention)

    def num_states(self, syncs: int) -> int:
        """Return the number of collectives of local states in a run with this number of syncs."""
        return self.traffic.num_states + syncs * self.traffic.states_per_sync

    @property
    def low(self) -> CommunicationVolume:
        """The communication with the lowest possible number of syncs."""
        return self.volume(self.traffic.min_syncs)

    @property
    def high(self) -> CommunicationVolume:
        """The communication with the highest possible number of syncs."""
        return self.volume(self.traffic.max_syncs)


class ByteRange(NamedTuple):
    """Bounds of the bytes of a cell; the number is exact if low == high."""

    low: int
    high: int


def run_size(cell: ResolvedCell) -> RunSize:
    """Return the size that the cell has in the suite."""
    return RunSize(cell.config.workers, cell.num_parameters, cell.budget_steps)


def forecast(cell: ResolvedCell, size: RunSize, convention: str) -> Forecast | None:
    """Compute the communication of a cell at `size`.

    Args:
        cell: the cell, with the components that it names.
        size: workers, parameters and local steps; `run_size(cell)` is the size in the suite.
        convention: a key of `accounting.costs.CONVENTIONS`.

    Returns:
        The forecast; None for a strategy without `forecast_traffic`, or if the number of parameters is another one and
        the bytes depend on the layers of the model.
    """
    if not isinstance(cell.strategy, HasTrafficForecast):
        return None
    if size.parameters != cell.num_parameters and _depends_on_layers(cell.strategy):
        return None
    vectors = optimizer_vectors(cell.optimizer) if cell.optimizer.state_on_sync == "average" else 0
    periods = moment_periods(cell.optimizer, vectors) if vectors else ()
    run = PlannedRun(size.steps, size.parameters, lambda t: learning_rate(cell.optimizer, t, size.steps), cell.layout)
    return forecast_strategy(cell.strategy, run, size, periods, convention)._replace(sent_base=cell.sent_base)


def _depends_on_layers(strategy: object) -> bool:
    """Return whether the bytes of a sync depend on the shapes of the layers."""
    rule = strategy.rule if isinstance(strategy, HasSyncRule) else None
    return rule is not None and (rule.by_layer or isinstance(rule.codec, LinearCodec))


def forecast_strategy(
    strategy: HasTrafficForecast, run: PlannedRun, size: RunSize, periods: tuple[int, ...], convention: str
) -> Forecast:
    """Compute the communication of a strategy in a run.

    Args:
        strategy: may also have a `SyncRule`, whose codec and correction are included.
        run: the properties of the run that the strategy may use.
        size: workers, parameters and local steps, as in `run`.
        periods: as in `Forecast.moment_periods`.
        convention: a key of `accounting.costs.CONVENTIONS`.
    """
    rule = strategy.rule if isinstance(strategy, HasSyncRule) else None
    codec, fragments = (None, 1) if rule is None else (rule.codec, rule.fragments or 1)
    if isinstance(codec, LinearCodec):
        first, *later = (Message(size, size) for size in codec.message_sizes(run.layout))
        models, factors = [first], tuple(later)
    else:
        parts = (part.stop - part.start for part in fragment_slices(size.parameters, fragments))
        models, factors = [_message(codec, numbers, size.workers) for numbers in parts], ()
    correction = None if rule is None else rule.correction
    corrections = MeansForecast(0, 0) if correction is None else correction.forecast_means(run)
    return Forecast(strategy.forecast_traffic(run), size, periods, convention, tuple(models), corrections, factors)


def _message(codec: Codec | None, numbers: int, workers: int) -> Message:
    """Return the bytes that one worker sends and receives when this many numbers of the model are averaged."""
    dense = BYTES_PER_NUMBER * numbers
    if codec is None:
        return Message(dense, dense)
    up = codec.message_size(numbers)
    operation, down = reply_cost(codec.reply, up, dense, workers)
    return Message(up, down, operation)


def forecast_bytes(cell: ResolvedCell, convention: str) -> ByteRange | None:
    """Return the bytes of all workers over the budget of a cell; None for a strategy without `forecast_traffic`."""
    prediction = forecast(cell, run_size(cell), convention)
    return None if prediction is None else ByteRange(prediction.low.wire_bytes, prediction.high.wire_bytes)
