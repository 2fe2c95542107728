"""Client sampling: of N clients with data of their own, K train in each round. They are the rows of the matrix.

A round ends with a sync. The server then draws the clients of the next round, which download the global model.
Strategies do not know of it: to them the rows are K workers. Which clients train in a round depends on the seed and
the number of the round, never on the strategy, so strategies with equally many rounds meet the same clients.

What stays with a client that is not drawn is `client_state`:

- "kept": the state of its local optimizer, its place in its samples, and its running statistics.
- "fresh": none of these. A client begins each round as if it were its first, as stateless devices do. Memory then
  grows with K, not with N.

What a method keeps for each worker, such as control variates and residuals, always stays with the client: it is part of
the method. With K = N and "kept" the result is that of N workers, to the last bit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fdabench.core.seeds import derive_seed, numpy_generator
from fdabench.engine.sampling import Indices, Sampler, SamplerState


class ClientState(NamedTuple):
    """What stays with a client between two rounds."""

    worker_state: dict[str, Tensor]
    """What the method keeps for the client, by name, shape [D]."""
    optimizer_state: dict[str, Any] | None = None
    """None if the client begins each round afresh, like the two below."""
    sampler_state: SamplerState | None = None
    b_B: Tensor | None = None
    """Its running statistics; None also if syncs average them."""


class WorkerRow(NamedTuple):
    """A row of the matrix, as one client leaves it and another finds it."""

    sampler: Sampler
    noise: int
    """The seed of the client's dropout masks."""
    optimizer_state: dict[str, Any]
    b_B: Tensor | None
    """None: the row keeps its running statistics."""


class HasRows(Protocol):
    """The workers of one cell, as `Clients` uses them; `engine.workers.Workers` has these methods."""

    def take_rows(self, group: int) -> list[WorkerRow]:
        """Remove and return what the rows of a group hold apart from the model."""
        ...

    def put_rows(self, group: int, rows: list[WorkerRow]) -> None:
        """Fill the rows of a group."""
        ...


@dataclass(frozen=True)
class ClientDraw:
    """Draws the clients of each round without replacement.

    Args:
        clients: N.
        per_round: K.
        seed: of the draws.
        weights_N: the probability of each client at the first draw of a round, in proportion; None: all alike.
    """

    clients: int
    per_round: int
    seed: int
    weights_N: npt.NDArray[np.float64] | None = None

    def participants(self, index: int) -> Indices:
        """Return the clients of round `index`, counted from 0, in ascending order, shape [K]."""
        rng = numpy_generator(derive_seed("participants", {"seed": self.seed, "round": index}))
        p_N = None if self.weights_N is None else self.weights_N / self.weights_N.sum()
        return np.sort(rng.choice(self.clients, self.per_round, replace=False, p=p_N)).astype(np.int64)


@dataclass
class Clients:
    """The clients of one cell. The rows of its group hold those of the present round.

    Args:
        draw: the clients of each round.
        make_sampler: returns the sampler of a client that begins in a round, from the client and the round.
        noise_of: returns the seed of a client's dropout masks.
        keep: whether the state of the local optimizer, of the sampler and of running statistics stays with a client.
        b_B: the running statistics that a client begins with; None if syncs average them.
        absent: the states of clients that are not in the present round.
    """

    draw: ClientDraw
    make_sampler: Callable[[int, int], Sampler]
    noise_of: Callable[[int], int]
    keep: bool
    b_B: Tensor | None
    absent: dict[int, ClientState] = field(default_factory=dict)

    def first_row(self, client: int, index: int) -> WorkerRow:
        """Return the row of a client that has not trained before, or that begins afresh, in round `index`."""
        return WorkerRow(self.make_sampler(client, index), self.noise_of(client), {}, self.b_B)

    def resume(self, workers: HasRows, group: int, index: int, absent: Mapping[int, ClientState]) -> None:
        """Fill the rows with the clients of round `index`, whose states a checkpoint then restores."""
        self.absent = dict(absent)
        workers.take_rows(group)
        workers.put_rows(group, [self.first_row(int(client), index) for client in self.draw.participants(index)])

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
        leaving, coming = self.draw.participants(index - 1), self.draw.participants(index)
        if self.keep and np.array_equal(leaving, coming):
            return dict(worker_state)
        for row, (client, rows) in enumerate(zip(leaving.tolist(), workers.take_rows(group), strict=True)):
            own = {name: x_KD[row].clone() for name, x_KD in worker_state.items()}
            if self.keep:
                self.absent[client] = ClientState(
                    own, rows.optimizer_state, rows.sampler.state_dict(), None if self.b_B is None else rows.b_B
                )
            elif own:
                self.absent[client] = ClientState(own)
        states = [self.absent.pop(client, None) for client in coming.tolist()]
        workers.put_rows(
            group, [self._row(client, index, state) for client, state in zip(coming.tolist(), states, strict=True)]
        )
        return {
            name: torch.stack(
                [torch.zeros_like(x_KD[0]) if state is None else state.worker_state[name] for state in states]
            )
            for name, x_KD in worker_state.items()
        }

    def _row(self, client: int, index: int, state: ClientState | None) -> WorkerRow:
        row = self.first_row(client, index)
        if state is None or state.sampler_state is None or state.optimizer_state is None:
            return row
        row.sampler.load_state_dict(state.sampler_state)
        return row._replace(optimizer_state=state.optimizer_state, b_B=state.b_B)
