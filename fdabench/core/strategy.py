"""The protocols of strategies and server optimizers, and the state that they work on.

Shape suffixes: K = workers of this process, D = parameters.

A strategy is the pseudo-code of a paper. Every process of a cell runs it. It may branch on the step `t`, on the round
and on results of the channel only: a branch on rank-local data would make ranks issue different collectives and hang.
"""

from dataclasses import dataclass
from functools import cached_property
from math import nan
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from fdabench.core.channel import Channel
from fdabench.core.direction import unit_direction


class ServerOptimizer(Protocol):
    """Updates the global model from the mean drift: the server optimizer of FedOpt (Reddi et al., 2021).

    The pseudo-gradient of FedOpt is -u_D.
    """

    @property
    def is_plain_average(self) -> bool:
        """Whether the next global model is always the mean of the workers' models."""
        ...

    def init(self, w_D: Tensor) -> Any:
        """The optimizer state before the first round, for the initial model `w_D`, shape [D]."""
        ...

    def update(self, w_D: Tensor, u_D: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Compute the next global model. No argument may be changed in place.

        Args:
            w_D: the global model at the start of the round, shape [D].
            u_D: the mean drift of the workers, shape [D].
            state: the state that the previous update or `init` returned.

        Returns:
            The next global model, shape [D], and the next state.
        """
        ...


@dataclass(frozen=True, eq=False)
class Round:
    """The state of a strategy since the last sync. It is replicated: identical in every process."""

    anchor_D: Tensor
    """w_t0, the global model at the start of this round."""
    previous_anchor_D: Tensor
    """The global model at the start of the previous round."""
    server: Any
    """The state of the server optimizer."""
    index: int = 0
    """The number of syncs so far."""
    server_owns_model: bool = False
    """Whether a server optimizer other than the plain average updates the global model.

    `anchor_D` is then the model that is evaluated, and otherwise the mean of the workers' models."""

    @cached_property
    def direction_D(self) -> Tensor:
        """xi, the unit direction of the last update of the global model; computed once in a round."""
        return unit_direction(self.anchor_D, self.previous_anchor_D)


class StepResult(NamedTuple):
    """The result of `Strategy.step`."""

    w_KD: Tensor
    """The models that the workers continue with, shape [K, D]. The engine reads them only if `synced` is true."""
    round: Round
    """The round that the next step belongs to."""
    synced: bool
    """Whether the workers were synchronized in this step."""
    estimate: float = nan
    """H(S), the monitor's upper bound of the model variance; NaN where no monitor was evaluated."""


class Strategy(Protocol):
    """Decides when the workers synchronize, and how. Strategies are frozen dataclasses; all state is in the round."""

    def init(self, w_D: Tensor) -> Round:
        """The first round. All workers start from the model `w_D`, shape [D]."""
        ...

    def step(self, t: int, w_KD: Tensor, r: Round, channel: Channel) -> StepResult:
        """Decide what happens after a local step. No argument may be changed in place.

        Args:
            t: the local step that the workers just made, from 0.
            w_KD: the models of the workers of this process after that step, shape [K, D].
            r: the round that this step belongs to.
            channel: averages over the workers of all processes and records the messages.

        Returns:
            The next models and round.
        """
        ...


@runtime_checkable
class CorrectsGradients(Protocol):
    """A strategy that replaces the gradients of a local step before the local optimizers use them."""

    def correct(self, t: int, g_KD: Tensor, r: Round, channel: Channel) -> Tensor:
        """Compute the gradients for the local optimizers.

        Args:
            t: the current local step, from 0.
            g_KD: the gradient of each worker on its own mini-batch, the L2 penalty of its kernels included. It must
                not be changed in place.
            r: the round that this step belongs to.
            channel: averages over the workers of all processes and records the messages, as in `step`.

        Returns:
            Shape [K, D].
        """
        ...


@runtime_checkable
class HasServer(Protocol):
    """A strategy whose syncs end in `server.update`, so that the result of a sync can be computed without making it."""

    @property
    def server(self) -> ServerOptimizer: ...


class TrafficForecast(NamedTuple):
    """The messages that a strategy will send in a number of steps; exact if `min_syncs` equals `max_syncs`."""

    min_syncs: int
    max_syncs: int
    num_states: int = 0
    """The number of local states that each worker sends."""
    state_size: int = 0
    """The number of values in one local state."""


@runtime_checkable
class HasTrafficForecast(Protocol):
    """A strategy that can forecast its messages. Without this method a strategy runs, but `plan` shows no bytes."""

    def forecast_traffic(self, steps: int, num_parameters: int) -> TrafficForecast:
        """The messages of `steps` local steps with a model of `num_parameters` parameters."""
        ...


def initial_round(w_D: Tensor, server: ServerOptimizer) -> Round:
    """The first round of a strategy with this server optimizer; all workers start from `w_D`, shape [D]."""
    return Round(w_D, w_D, server.init(w_D), server_owns_model=not server.is_plain_average)


def synchronize(w_KD: Tensor, r: Round, server: ServerOptimizer, channel: Channel, estimate: float = nan) -> StepResult:
    """End the round: average the drifts, update the global model by the server optimizer, and assign it to all workers.

    Args:
        w_KD: the models of the workers of this process, shape [K, D].
        r: the round that ends.
        server: the server optimizer.
        channel: records one message of kind `model`.
        estimate: the monitor's bound of the model variance, if one was evaluated.

    Returns:
        The result that `Strategy.step` returns, with the next round.
    """
    u_D = channel.mean(w_KD - r.anchor_D, "model")
    w_D, state = server.update(r.anchor_D, u_D, r.server)
    return StepResult(
        w_D.expand_as(w_KD), Round(w_D, r.anchor_D, state, r.index + 1, r.server_owns_model), True, estimate
    )
