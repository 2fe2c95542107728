"""What a strategy is. Shape suffixes: K = workers held by this process, D = parameters.

A strategy is the paper's pseudo-code, run by every process alike. It may branch on the step `t`, on the round,
and on what came out of the channel: on nothing else, or processes would wait for each other for ever.
"""

from dataclasses import dataclass
from functools import cached_property
from math import nan
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from fdabench.core.channel import Channel
from fdabench.core.direction import unit_direction


class ServerOptimizer(Protocol):
    """How the mean drift moves the global model (FedOpt's server optimizer; -u_D is its pseudo-gradient)."""

    @property
    def is_plain_average(self) -> bool:
        """Whether the next global model is the workers' mean, and nothing else."""
        ...

    def init(self, w_D: Tensor) -> Any:
        """The optimizer's state before the first round."""
        ...

    def update(self, w_D: Tensor, u_D: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The next global model, given the present one and the mean drift; and the next state."""
        ...


@dataclass(frozen=True, eq=False)
class Round:
    """What every worker remembers since the last sync. Replicated: identical in every process."""

    anchor_D: Tensor
    """w_t0, the global model that this round started from."""
    previous_anchor_D: Tensor
    """The global model that the round before started from."""
    server: Any
    """State of the server optimizer."""
    index: int = 0
    """Syncs made so far."""
    server_owns_model: bool = False
    """A server moves the global model elsewhere than to the workers' mean, so `anchor_D` is what the run hands out."""

    @cached_property
    def direction_D(self) -> Tensor:
        """xi, the direction in which the global model moved last; computed once in a round."""
        return unit_direction(self.anchor_D, self.previous_anchor_D)


class StepResult(NamedTuple):
    """What a step led to. `w_KD` is what the workers hold next; it is looked at only after a sync."""

    w_KD: Tensor
    round: Round
    synced: bool
    estimate: float = nan
    """H(S), what the monitor holds the model variance to be at most; NaN if nobody looked."""


class Strategy(Protocol):
    """When to synchronize, and how. Frozen; all state is in the round."""

    def init(self, w_D: Tensor) -> Round:
        """The first round; all workers hold `w_D`."""
        ...

    def step(self, t: int, w_KD: Tensor, r: Round, channel: Channel) -> StepResult:
        """What happens after local step `t` (from 0), given the workers' models."""
        ...


@runtime_checkable
class CorrectsGradients(Protocol):
    """A strategy that changes the gradients of a local step before the local optimizers use them."""

    def correct(self, t: int, g_KD: Tensor, r: Round, channel: Channel) -> Tensor:
        """The gradients that the local optimizers step with.

        Args:
            t: the local step that is being made, from 0.
            g_KD: each worker's gradient on its own mini-batch, the L2 penalty of its kernels included.
            r: the round that this step belongs to.
            channel: what crosses it is metered, as in `step`.

        Returns:
            Shape [K, D]; `g_KD` itself is not changed.
        """
        ...


@runtime_checkable
class HasServer(Protocol):
    """A strategy whose syncs end in `server.apply`, so that a sync can be computed without being made."""

    @property
    def server(self) -> ServerOptimizer: ...


class TrafficForecast(NamedTuple):
    """What a strategy sends in a number of steps, known beforehand: exactly where least == most."""

    min_syncs: int
    max_syncs: int
    num_states: int = 0
    state_size: int = 0
    """Numbers in one local state."""


@runtime_checkable
class HasTrafficForecast(Protocol):
    """A strategy that knows beforehand what it will send; the others run as well, but `plan` cannot price them."""

    def forecast_traffic(self, steps: int, num_parameters: int) -> TrafficForecast: ...


def initial_round(w_D: Tensor, server: ServerOptimizer) -> Round:
    """The first round: everybody holds `w_D`, nothing has moved yet."""
    return Round(w_D, w_D, server.init(w_D), server_owns_model=not server.is_plain_average)


def synchronize(w_KD: Tensor, r: Round, server: ServerOptimizer, channel: Channel, estimate: float = nan) -> StepResult:
    """End the round: average the drifts, let the server move the global model, hand it to all."""
    u_D = channel.mean(w_KD - r.anchor_D, "model")
    w_D, state = server.update(r.anchor_D, u_D, r.server)
    return StepResult(
        w_D.expand_as(w_KD), Round(w_D, r.anchor_D, state, r.index + 1, r.server_owns_model), True, estimate
    )
