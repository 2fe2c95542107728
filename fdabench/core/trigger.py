"""The protocol of triggers, which decide when the workers of the strategy `rounds` synchronize."""

from math import nan
from typing import NamedTuple, Protocol

from torch import Tensor

from fdabench.core.channel import Channel
from fdabench.core.strategy import ComponentState, PlannedRun, Round, StepContext, TrafficForecast


class Decision(NamedTuple):
    """The result of `Trigger.check`."""

    sync: bool
    """Whether the workers synchronize now."""
    state: ComponentState = ()
    """The trigger's state in the next step."""
    estimate: float = nan
    """What the trigger estimated of the drifts; NaN if nothing."""
    theta: float = nan
    """The threshold that the estimate was compared with; NaN without one."""


class Trigger(Protocol):
    """Decides after each local step whether the workers synchronize. Triggers are frozen dataclasses.

    A trigger that needs the learning rate has `follows_learning_rate = True`: suites refuse optimizers without `lr`.
    """

    def init(self, w_D: Tensor) -> ComponentState:
        """The state before the first step: numbers, tensors and tuples of them, whose types and shapes never change.

        Args:
            w_D: the initial model, shape [D].
        """
        ...

    def check(self, ctx: StepContext, r: Round, channel: Channel) -> Decision:
        """Decide whether to synchronize. No argument may be changed in place.

        Args:
            ctx: the local step that the workers just made.
            r: the round that it belongs to; `r.trigger` is the state.
            channel: averages over the workers of all processes and records the messages.
        """
        ...

    def forecast_traffic(self, run: PlannedRun) -> TrafficForecast:
        """The syncs and the local states of a run, or bounds of the syncs."""
        ...
