"""The protocols of strategies and of what a sync is made of, and the state that they work on.

Shape suffixes: K = workers of this process, D = parameters.

A strategy is the pseudo-code of a paper. Every process of a cell runs it. It may branch on the step `t`, on the round,
on learning rates and on results of the channel only: a branch on rank-local data would make ranks issue different
collectives and hang.

A strategy decides when the workers synchronize. How a sync is made is its `SyncRule`: the server optimizer that moves
the global model, the codec that packs what crosses, the error feedback around it, and the correction of gradients
between syncs. Each of these four knows nothing of the others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import nan
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from torch import Tensor

from fdabench.core.channel import Channel
from fdabench.core.codec import AnyCodec, Layout, LinearCodec
from fdabench.core.direction import unit_direction

ComponentState: TypeAlias = Any
"""What a server optimizer, a trigger or a correction keeps between rounds: numbers, tensors and tuples of them.

Each component has a type of its own. Only the component itself reads its state; the others pass it on.
"""
RESIDUAL = "residual"
"""The worker state that error feedback keeps: what the messages so far have left out."""


class StepContext(NamedTuple):
    """A local step that the workers just made, or whose gradients were just computed.

    `w_KD`, `g_KD`, `loss_K` and `worker_state` are private to the workers: they may enter arithmetic and the channel,
    but no branch. The rest is replicated. Nothing may be changed in place.
    """

    t: int
    """The local step, from 0."""
    w_KD: Tensor
    """The models of the workers: after the step in `Strategy.step`, before it in `Correction.correct`."""
    g_KD: Tensor
    """The gradients, the L2 penalty of kernels included; in `Strategy.step` as the local optimizers used them. They are
    zeros for a slow worker that makes no step."""
    loss_K: Tensor
    """The loss of each worker on its mini-batch."""
    steps: int
    """Local steps of the budget."""
    lr_at: Callable[[int], float]
    """The learning rate of any local step, by the schedule; NaN where the optimizer has no `lr`."""
    worker_state: Mapping[str, Tensor]
    """Rows that each worker keeps for itself, shape [K, D], by the names in `SyncRule.worker_state`; zeros at first."""
    layout: Layout
    """The tensors of the model, in the order of a row."""

    @property
    def lr(self) -> float:
        """The learning rate of this step."""
        return self.lr_at(self.t)

    @property
    def is_last(self) -> bool:
        """Whether this is the last step of the budget."""
        return self.t + 1 == self.steps


class RoundInfo(NamedTuple):
    """The local steps of a round that ends."""

    start: int
    """The number of local steps before the round."""
    stop: int
    """The number of local steps at its end."""
    lr_at: Callable[[int], float]
    client_share: float = 1.0
    """The workers of the round divided by all clients."""

    @property
    def lr(self) -> float:
        """The learning rate of the last local step."""
        return self.lr_at(self.stop - 1)

    @property
    def lr_sum(self) -> float:
        """The sum of the learning rates of all local steps."""
        return sum(self.lr_at(t) for t in range(self.start, self.stop))


class PlannedRun(NamedTuple):
    """What is known of a run before it begins."""

    steps: int
    """Local steps of each worker."""
    num_parameters: int
    lr_at: Callable[[int], float]
    """The learning rate of a local step."""
    layout: Layout = ()
    """The tensors of the model; empty where they are not known."""


class ServerOptimizer(Protocol):
    """Updates the global model from the mean drift: the server optimizer of FedOpt (Reddi et al., 2021).

    The pseudo-gradient of FedOpt is -u_D.
    """

    @property
    def is_plain_average(self) -> bool:
        """Whether the next global model is always the mean of the workers' models."""
        ...

    def init(self, w_D: Tensor) -> ComponentState:
        """The optimizer state before the first round, for the initial model `w_D`, shape [D]."""
        ...

    def update(self, w_D: Tensor, u_D: Tensor, state: ComponentState, info: RoundInfo) -> tuple[Tensor, ComponentState]:
        """Compute the next global model. No argument may be changed in place.

        Args:
            w_D: the global model at the start of the round, shape [D].
            u_D: the mean drift of the workers, shape [D].
            state: the state that the previous update or `init` returned.
            info: the local steps of the round.

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
    server: ComponentState
    """The state of the server optimizer."""
    index: int = 0
    """The number of syncs so far."""
    server_owns_model: bool = False
    """Whether the global model may be another than the mean of the workers' models: because of a server optimizer, or
    of a codec that loses something.

    `anchor_D` is then the model that is evaluated, and otherwise the mean of the workers' models."""
    start: int = 0
    """The number of local steps before this round."""
    correction: ComponentState = ()
    """The replicated state of the correction."""
    trigger: ComponentState = ()
    """The replicated state of what decides when to synchronize."""
    codec: ComponentState = ()
    """The replicated state of a `LinearCodec`; empty before the first sync."""

    @cached_property
    def direction_D(self) -> Tensor:
        """xi, the unit direction of the last update of the global model; computed once in a round."""
        return unit_direction(self.anchor_D, self.previous_anchor_D)


class CorrectedGradients(NamedTuple):
    """What `Correction.correct` returns."""

    g_KD: Tensor
    """The gradients for the local optimizers, shape [K, D]."""
    worker_state: Mapping[str, Tensor] | None = None
    """The entries of the worker state that change; None if none does."""


class CorrectionUpdate(NamedTuple):
    """What `Correction.end_round` returns."""

    state: ComponentState
    """The replicated state in the next round."""
    worker_state: Mapping[str, Tensor]
    """The entries of the worker state that change."""


class MeansForecast(NamedTuple):
    """Vectors of D float32 numbers that a correction averages over the workers."""

    per_run: int
    """In the whole run, whatever the syncs."""
    per_sync: int
    """In addition, at each sync."""


class Correction(Protocol):
    """Changes the gradients of each local step before clipping and the local optimizers."""

    @property
    def worker_state(self) -> tuple[str, ...]:
        """The names of the rows that each worker keeps for it."""
        ...

    def init(self, w_D: Tensor) -> ComponentState:
        """The replicated state before the first round, for the initial model `w_D`, shape [D]."""
        ...

    def correct(self, ctx: StepContext, r: Round, channel: Channel) -> CorrectedGradients:
        """Compute the gradients for the local optimizers. No argument may be changed in place.

        Args:
            ctx: the step, with the models before it.
            r: the round that the step belongs to.
            channel: averages over the workers of all processes and records the messages.
        """
        ...

    def end_round(self, ctx: StepContext, r: Round, channel: Channel) -> CorrectionUpdate:
        """Called at a sync, after the models are averaged. No argument may be changed in place.

        Args:
            ctx: the last step of the round, with the models before the sync.
            r: the round that ends.
            channel: as above.
        """
        ...

    def forecast_means(self, run: PlannedRun) -> MeansForecast:
        """What it will send in a run."""
        ...


@dataclass(frozen=True)
class SyncRule:
    """How a round ends, and what happens to gradients until then.

    Args:
        server: moves the global model by the mean drift.
        codec: packs what each worker sends; None: float32 numbers as they are.
        feedback: the decay of the error feedback around a codec; 1 keeps all that was left out. None: no feedback.
        correction: changes gradients; None: none.
        fragments: parts of the row, of equal length, of which each sync averages one in turn. None: the whole row.
        delay: local steps until a mean arrives at the workers, which its message may overlap.
        by_layer: whether a sync averages some layers of the model and leaves the others as they are.

    Raises:
        ValueError: the parts do not make sense together.
    """

    server: ServerOptimizer
    codec: AnyCodec | None = None
    feedback: float | None = None
    correction: Correction | None = None
    fragments: int | None = None
    delay: int = 0
    by_layer: bool = False

    def __post_init__(self) -> None:
        if self.is_streaming and self.correction is not None:
            raise ValueError("correction: it needs syncs of the whole model without a delay; remove it")
        if self.is_streaming and isinstance(self.codec, LinearCodec):
            name = type(self.codec).__name__
            raise ValueError(
                f"codec: {name} compresses the matrices of the whole model, and a sync here averages a part of it; use "
                "int8 or topk, or another strategy"
            )
        if self.feedback is not None and self.codec is None:
            raise ValueError("feedback: there is no codec whose losses it could make up for; remove it or add a codec")
        if self.codec is not None and self.codec.needs_feedback and self.feedback is None:
            name = type(self.codec).__name__
            raise ValueError(f"codec: {name} is biased and does not converge alone; add feedback = 1.0")

    @property
    def is_streaming(self) -> bool:
        """Whether a sync may replace a part of the model only, or a model of later steps than the mean was taken of."""
        return self.fragments is not None or self.delay > 0 or self.by_layer

    @property
    def worker_state(self) -> tuple[str, ...]:
        """The names of the rows that each worker keeps."""
        residual = () if self.feedback is None else (RESIDUAL,)
        return residual if self.correction is None else (*residual, *self.correction.worker_state)


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
    theta: float = nan
    """The threshold that the estimate was compared with; NaN without one."""
    worker_state: Mapping[str, Tensor] | None = None
    """The entries of the worker state that change; None if none does."""


class Strategy(Protocol):
    """Decides when the workers synchronize, and how. Strategies are frozen dataclasses; all state is in the round."""

    def init(self, w_D: Tensor) -> Round:
        """The first round. All workers start from the model `w_D`, shape [D]."""
        ...

    def step(self, ctx: StepContext, r: Round, channel: Channel) -> StepResult:
        """Decide what happens after a local step. No argument may be changed in place.

        Args:
            ctx: the local step that the workers just made, with their models.
            r: the round that this step belongs to.
            channel: averages over the workers of all processes and records the messages.

        Returns:
            The next models and round.
        """
        ...


@runtime_checkable
class HasSyncRule(Protocol):
    """A strategy whose syncs follow a rule. The engine computes from it what a sync would make, keeps the rule's worker
    state, and lets its correction change gradients."""

    @property
    def rule(self) -> SyncRule: ...


class TrafficForecast(NamedTuple):
    """The messages that a strategy will send in a run; exact if `min_syncs` equals `max_syncs`.

    What a sync sends follows from the strategy's `SyncRule`, or is one model of each worker without one.
    """

    min_syncs: int
    max_syncs: int
    num_states: int = 0
    """The number of local states that each worker sends, whatever the syncs."""
    state_size: int = 0
    """The number of values in one local state."""
    num_gradient_syncs: int = 0
    """Of the syncs, those that average gradients instead of models; the strategy's correction sends them."""
    states_per_sync: int = 0
    """Local states that each worker sends in addition, at each sync."""


@runtime_checkable
class HasTrafficForecast(Protocol):
    """A strategy that can forecast its messages. Without this method a strategy runs, but `plan` shows no bytes."""

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        """The messages of a run."""
        ...
