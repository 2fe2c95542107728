"""The training loop: it alternates local steps and whatever the strategy makes of them, and knows no strategy."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from fdabench.core.channel import Channel
from fdabench.core.strategy import Outcome, Round, Strategy
from fdabench.engine.gradients import Losses
from fdabench.engine.workers import Workers


class Moment(NamedTuple):
    """The end of a local step, seen before its sync, if any, is handed to the workers: when the paper evaluates."""

    step: int
    """Local steps made, from 1."""
    losses: Losses
    outcome: Outcome
    round: Round
    """The round that this step belongs to."""
    w_KD: Tensor
    """The workers' models before the sync."""


def run(workers: Workers, strategy: Strategy, channel: Channel, steps: int, goes_on: Callable[[Moment], bool]) -> None:
    """Run `steps` local steps, or until `goes_on`, which sees every moment, says no."""
    w_KD = workers.w_KD
    r = strategy.init(channel.distribute(w_KD[0].clone()))
    for t in range(steps):
        channel.ledger.step = t + 1
        losses = workers.step()
        with torch.no_grad():
            outcome = strategy.step(t, w_KD, r, channel)
        more = goes_on(Moment(t + 1, losses, outcome, r, w_KD))
        if outcome.synced:
            workers.adopt(outcome.w_KD, channel)
        r = outcome.round
        if not more:
            break
