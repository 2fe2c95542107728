"""Client sampling: of N clients with data of their own, K train in each round. They are the rows of the matrix.

A round ends with a sync. The server then draws the clients of the next round, which download the global model.
Strategies do not know of it: to them the rows are K workers. Which clients train in a round depends on the seed and
the number of the round, never on the strategy, so strategies with equally many rounds meet the same clients.

What stays with a client that is not drawn is `client_state`:

- "kept": the state of its local optimizer, its place in its samples, and its running statistics.
- "fresh": none of these. A client begins each round as if it were its first, as stateless devices do. Memory then
  grows with K, not with N.

The speed of a slow client belongs to the client as well. Its ticks are those of the run: a client of speed s makes a
step in tick t if floor((t + 1) s) > floor(t s), in whichever round that is.

What a method keeps for each worker, such as control variates and residuals, always stays with the client: it is part of
the method. With K = N and "kept" the result is that of N workers, to the last bit.

With several processes each holds some of the rows, and a client may train in another process than before. After each
round the processes exchange what stays with its clients, so that each process has the states of all absent clients.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fdabench.core.schedule import LocalSteps
from fdabench.core.seeds import derive_seed, numpy_generator
from fdabench.engine.sampling import Sampler, SamplerState
from fdabench.partitions.base import Indices

logger = logging.getLogger(__name__)


class ClientState(NamedTuple):
    """What stays with a client between two rounds."""

    worker_state: dict[str, Tensor]
    """What the method keeps for the client, by name, shape [D]."""
    optimizer_state: dict[str, object] | None = None
    """None if the client begins each round afresh, like the two below."""
    sampler_state: SamplerState | None = None
    b_B: Tensor | None = None
    """Its running statistics; None also if syncs average them."""


class WorkerRow(NamedTuple):
    """A row of the matrix, as one client leaves it and another finds it."""

    sampler: Sampler
    noise: int
    """The seed of the client's dropout masks."""
    optimizer_state: dict[str, object]
    b_B: Tensor | None
    """None: the row keeps its running statistics."""
    speed: float | None = None
    """The speed of the client, as in `LocalSteps`; None if all clients are equally fast."""


def steps_of_rows(rows: Sequence[WorkerRow]) -> LocalSteps | None:
    """Return the local steps of the clients of these rows; None if all clients are equally fast."""
    speeds = tuple(row.speed for row in rows if row.speed is not None)
    return LocalSteps(speeds) if speeds else None


class HasRows(Protocol):
    """The workers of one cell, as `Clients` uses them; `engine.workers.Workers` has these methods."""

    def take_rows(self, group: int) -> list[WorkerRow]:
        """Remove and return what the rows of a group hold apart from the model."""
        ...

    def put_rows(self, group: int, rows: list[WorkerRow]) -> None:
        """Fill the rows of a group."""
        ...


class HasRoundsUntil(Protocol):
    """Says when clients are available."""

    def rounds_until(self, index: int) -> npt.NDArray[np.float64]:
        """Return after how many rounds each client is available, counted from round `index`, shape [N]; 0: it is."""
        ...


@dataclass(frozen=True)
class AvailabilityLaw:
    """Each client is available for a share of each period, as a device is while it is charged at night.

    Args:
        share: of the period, above 0 and at most 1.
        period: rounds, such as those of a day.
        phase_N: at which place of the period each client is in round 0, in rounds.
    """

    share: float
    period: int
    phase_N: npt.NDArray[np.float64]

    @staticmethod
    def draw(share: float, period: int, clients: int, seed: int) -> "AvailabilityLaw":
        """Draw the phases of clients, which are uniform in the period and depend on the seed only."""
        rng = numpy_generator(derive_seed("availability", {"seed": seed}))
        return AvailabilityLaw(share, period, rng.random(clients) * period)

    def rounds_until(self, index: int) -> npt.NDArray[np.float64]:
        """Return after how many rounds each client is available, counted from round `index`, shape [N]; 0: it is."""
        place_N = (self.phase_N + index) % self.period
        return np.where(place_N < self.share * self.period, 0.0, self.period - place_N)


@dataclass(frozen=True, eq=False)
class AvailabilityTrace:
    """Each client is available in measured intervals, which repeat. Shape suffix: M = intervals.

    Args:
        client_M: the client of each interval, ascending; every client from 0 to the highest has at least one.
        start_M: where each interval begins, in rounds, at least 0.
        stop_M: where it ends, at most `period`; the end does not belong to it.
        period: rounds after which the intervals repeat.
        clients: in all. Client k has the intervals of client k modulo the number of clients of the trace.
    """

    client_M: npt.NDArray[np.int64]
    start_M: npt.NDArray[np.float64]
    stop_M: npt.NDArray[np.float64]
    period: int
    clients: int

    @cached_property
    def _first(self) -> Indices:
        """The first interval of each client of the trace."""
        return np.flatnonzero(np.diff(self.client_M, prepend=-1))

    def rounds_until(self, index: int) -> npt.NDArray[np.float64]:
        """As `HasRoundsUntil`: the time until the next interval of each client, or 0 within an interval."""
        place = index % self.period
        within_M = (self.start_M <= place) & (place < self.stop_M)
        until_M = np.where(within_M, 0.0, (self.start_M - place) % self.period)
        least = np.minimum.reduceat(until_M, self._first)
        until_N: npt.NDArray[np.float64] = least[np.arange(self.clients) % len(least)]
        return until_N


@dataclass(frozen=True)
class ClientDraw:
    """Draws the clients of each round without replacement, from those that are available.

    If fewer than K are available, all of them train, and the server waits for those that are available next.

    Args:
        clients: N.
        per_round: K.
        seed: of the draws.
        weights_N: the probability of each client at the first draw of a round, in proportion; None: all alike.
        availability: when clients are available; None: always.
    """

    clients: int
    per_round: int
    seed: int
    weights_N: npt.NDArray[np.float64] | None = None
    availability: HasRoundsUntil | None = None

    def participants(self, index: int) -> Indices:
        """Return the clients of round `index`, counted from 0, in ascending order, shape [K]."""
        rng = numpy_generator(derive_seed("participants", {"seed": self.seed, "round": index}))
        if self.availability is None:
            return np.sort(rng.choice(self.clients, self.per_round, replace=False, p=self._shares())).astype(np.int64)
        until_N = self.availability.rounds_until(index)
        present = np.flatnonzero(until_N == 0)
        if len(present) < self.per_round:
            return np.sort(np.argsort(until_N, kind="stable")[: self.per_round])
        return np.sort(rng.choice(present, self.per_round, replace=False, p=self._shares(present)))

    def available(self, index: int) -> int:
        """Return how many clients are available in round `index`."""
        return self.clients if self.availability is None else int((self.availability.rounds_until(index) == 0).sum())

    def _shares(self, of: Indices | slice = slice(None)) -> npt.NDArray[np.float64] | None:
        return None if self.weights_N is None else self.weights_N[of] / self.weights_N[of].sum()


def no_exchange(states: Sequence[ClientState]) -> list[Sequence[ClientState]]:
    """The default of `Clients.exchange`: all rows are in this process."""
    return [states]


@dataclass
class Clients:
    """The clients of one cell. The rows of its group hold those of the present round.

    Args:
        draw: the clients of each round.
        make_sampler: returns the sampler of a client that begins in a round, from the client and the round.
        noise_of: returns the seed of a client's dropout masks.
        keep: whether the state of the local optimizer, of the sampler and of running statistics stays with a client.
        b_B: the running statistics that a client begins with; None if syncs average them.
        absent: the states of clients that are not in the present round, of all processes.
        local_rows: the rows of this process among those of all processes; None: all of them.
        exchange: returns what every process has passed to it, in the order of the ranks.
        local_steps: the local steps of all clients; None: all are equally fast.
        index: of the present round.
    """

    draw: ClientDraw
    make_sampler: Callable[[int, int], Sampler]
    noise_of: Callable[[int], int]
    keep: bool
    b_B: Tensor | None
    absent: dict[int, ClientState] = field(default_factory=dict)
    local_rows: range | None = None
    exchange: Callable[[list[ClientState]], Sequence[Sequence[ClientState]]] = no_exchange
    local_steps: LocalSteps | None = None
    index: int = 0

    def present(self, index: int) -> list[int]:
        """Return the clients of round `index` that train in this process, in the order of its rows."""
        everywhere: list[int] = self.draw.participants(index).tolist()
        return everywhere if self.local_rows is None else [everywhere[row] for row in self.local_rows]

    def first_row(self, client: int, index: int) -> WorkerRow:
        """Return the row of a client that has not trained before, or that begins afresh, in round `index`."""
        speed = None if self.local_steps is None else self.local_steps.speeds[client]
        return WorkerRow(self.make_sampler(client, index), self.noise_of(client), {}, self.b_B, speed)

    def drift_factors(self, start: int, stop: int) -> Tensor | None:
        """Return the factors of `LocalSteps.drift_factors` for the clients of the present round, of all processes."""
        if self.local_steps is None:
            return None
        return self.local_steps.rows(self.draw.participants(self.index).tolist()).drift_factors(start, stop)

    def resume(self, workers: HasRows, group: int, index: int, absent: Mapping[int, ClientState]) -> None:
        """Fill the rows with the clients of round `index`, whose states a checkpoint then restores."""
        self.absent, self.index = dict(absent), index
        workers.take_rows(group)
        workers.put_rows(group, [self.first_row(client, index) for client in self.present(index)])

    def next_round(
        self, workers: HasRows, group: int, index: int, worker_state: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Exchange the clients after the sync that ends a round.

        Args:
            workers: of the cell; their models are those of the sync.
            group: the index of the cell's group.
            index: of the round that begins, at least 1.
            worker_state: what the method keeps for each row, by name, shape [K, D].

        Returns:
            The same for the clients of the new round; zeros for a client that has not trained before.
        """
        self.index = index
        leaving, coming = self.draw.participants(index - 1), self.draw.participants(index)
        if self.keep and np.array_equal(leaving, coming):
            return dict(worker_state)
        if (available := self.draw.available(index)) < len(coming):
            message = "round %d: %d of %d clients are available; the server waits for %d that are available next"
            logger.info(message, index, available, len(coming), len(coming) - available)
        rows = workers.take_rows(group)
        if self.keep or worker_state:
            local_states = [self._state_of(k, row, worker_state) for k, row in enumerate(rows)]
            states = chain.from_iterable(self.exchange(local_states))
            self.absent |= zip(leaving.tolist(), states, strict=True)
        states_by_client = {client: self.absent.pop(client, None) for client in coming.tolist()}
        states_of_rows = [(client, states_by_client[client]) for client in self.present(index)]
        workers.put_rows(group, [self._row(client, index, state) for client, state in states_of_rows])
        return {
            name: torch.stack(
                [
                    torch.zeros_like(x_KD[0]) if state is None else state.worker_state[name]
                    for _, state in states_of_rows
                ]
            )
            for name, x_KD in worker_state.items()
        }

    def _state_of(self, k: int, row: WorkerRow, worker_state: Mapping[str, Tensor]) -> ClientState:
        """What stays with the client that leaves row k of this process."""
        own = {name: x_KD[k].clone() for name, x_KD in worker_state.items()}
        if not self.keep:
            return ClientState(own)
        statistics = None if self.b_B is None else row.b_B
        return ClientState(own, row.optimizer_state, row.sampler.state_dict(), statistics)

    def _row(self, client: int, index: int, state: ClientState | None) -> WorkerRow:
        row = self.first_row(client, index)
        if state is None or state.sampler_state is None or state.optimizer_state is None:
            return row
        row.sampler.load_state_dict(state.sampler_state)
        return row._replace(optimizer_state=state.optimizer_state, b_B=state.b_B)
