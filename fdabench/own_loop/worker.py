"""The one worker of this process: its round, its worker state, and one decision of the strategy for each step.

Shape suffixes: D = trainable parameters, 1 = the one worker of this process.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import nan
from typing import Any

import torch
from torch import Tensor

from fdabench.core.channel import Channel
from fdabench.core.schedule import is_period_end
from fdabench.core.strategy import HasSyncRule, Round, StepContext, StepResult, Strategy, SyncRule
from fdabench.errors import UsageError
from fdabench.experiment.recorder import ResultRow
from fdabench.own_loop.parameters import BufferRule, ModelRow
from fdabench.strategies.fedavg import FedAvg

TRACE_ROWS = 2000
"""The trace keeps evenly spaced steps: at least this many, at most twice as many."""


@dataclass
class LearningRates:
    """The learning rate of each step so far, run-length encoded: step `first[i]` and later ones had `lr[i]`."""

    first: list[int] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)

    def append(self, t: int, lr: float) -> None:
        """Add the learning rate of step t, which comes after all recorded steps."""
        if not self.lr or (self.lr[-1] != lr and not (self.lr[-1] != self.lr[-1] and lr != lr)):
            self.first.append(t)
            self.lr.append(lr)

    def at(self, t: int) -> float:
        """The learning rate of a step; that of the last recorded step for later ones."""
        return self.lr[max(0, bisect_right(self.first, t) - 1)] if self.lr else nan


class LoopWorker:
    """Runs a built-in strategy for the model of this process.

    Args:
        row: the parameters of the model.
        strategy: decides when to synchronize.
        channel: averages over the ranks and records the messages.
        steps: the budget that the strategy sees.
        buffers: what a sync does to buffers.
    """

    def __init__(self, row: ModelRow, strategy: Strategy, channel: Channel, steps: int, buffers: BufferRule) -> None:
        self._row, self._strategy, self.channel, self._steps, self._buffers = row, strategy, channel, steps, buffers
        self.rule: SyncRule | None = strategy.rule if isinstance(strategy, HasSyncRule) else None
        w_1D = row.read()
        self.round: Round = strategy.init(channel.broadcast_initial(w_1D[0].clone()))
        names = self.rule.worker_state if self.rule is not None else ()
        self.worker_state: Mapping[str, Tensor] = {name: torch.zeros_like(w_1D) for name in names}
        self.rates = LearningRates()
        self.t = 0
        self.rounds: list[ResultRow] = []
        self.trace: list[ResultRow] = []
        self._trace_every = 1
        # a strategy that reads the loss is refused before the first step
        self._unknown_loss_1 = torch.full((1,), nan, device=w_1D.device)
        # no built-in strategy reads gradients in `step`, so they are copied for corrections only
        self._no_gradient = w_1D.new_empty(0)
        self.corrects_gradients = self.rule is not None and self.rule.correction is not None
        """Whether the strategy changes gradients before the optimizer uses them."""
        # such a strategy reads the weights in the last step of a period only
        self._period: Fraction | int = 1
        if isinstance(strategy, FedAvg) and type(strategy).step is FedAvg.step:
            self._period = strategy.period

    @torch.no_grad()
    def correct_gradients(self, g_1D: Tensor) -> Tensor:
        """The gradients for the optimizer, shape [D], from those of this rank, shape [1, D]."""
        if self.rule is None or self.rule.correction is None:
            return g_1D[0]
        self.channel.ledger.step = self.t + 1
        context = self._context(self._row.read(), g_1D)
        corrected = self.rule.correction.correct(context, self.round, self.channel)
        self._update_worker_state(corrected.worker_state)
        return corrected.g_KD[0]

    @torch.no_grad()
    def finish_step(self) -> bool:
        """Let the strategy decide after a step of the optimizer. Returns whether the ranks were synchronized."""
        if not is_period_end(self.t, self._period):
            self.t += 1
            return False
        self.channel.ledger.step = self.t + 1
        w_1D = self._row.current()
        before = self.round
        outcome = self._strategy.step(self._context(w_1D, self._no_gradient), before, self.channel)
        if outcome.synced:
            self._load(outcome)
            self._record_sync(outcome, before)
        self._record_estimate(outcome.estimate)
        self.round = outcome.round
        self._update_worker_state(outcome.worker_state)
        self.t += 1
        return outcome.synced

    def _load(self, outcome: StepResult) -> None:
        self._row.write(outcome.w_KD[0])
        b_1B = self._row.read_buffers() if self._buffers == "averaged" else torch.empty(1, 0)
        if b_1B.numel():
            self._row.write_buffers(self.channel.mean(b_1B, "statistics"))

    def _record_sync(self, outcome: StepResult, before: Round) -> None:
        stop = self.t + 1
        last = self.rounds[-1]["step"] if self.rounds else 0
        rate = sum(self.rates.at(t) for t in range(last, stop)) / (stop - last)
        theta = float(getattr(self._strategy, "theta", nan)) if outcome.theta != outcome.theta else outcome.theta
        row = {"round": before.index + 1, "step": stop, "steps": stop - last, "estimate": outcome.estimate}
        # the exact variance would cost an all-reduce of the whole model
        self.rounds.append({**row, "variance": nan, "theta": theta, "lr": rate})

    def _record_estimate(self, estimate: float) -> None:
        if estimate != estimate or (self.t + 1) % self._trace_every:
            return
        self.trace.append({"step": self.t + 1, "estimate": estimate})
        if len(self.trace) > 2 * TRACE_ROWS:
            self._trace_every *= 2
            self.trace = [row for row in self.trace if row["step"] % self._trace_every == 0]

    def _context(self, w_1D: Tensor, g_1D: Tensor) -> StepContext:
        return StepContext(
            self.t, w_1D, g_1D, self._unknown_loss_1, self._steps, self.rates.at, self.worker_state, self._row.layout
        )

    def _update_worker_state(self, changed: Mapping[str, Tensor] | None) -> None:
        if changed:
            self.worker_state = {**self.worker_state, **changed}

    def state(self) -> dict[str, Any]:
        """The state between two steps, with the tables so far."""
        return {
            "t": self.t,
            "weights": self._row.read(),
            "round": self.round,
            "worker_state": dict(self.worker_state),
            "ledger": self.channel.ledger.entries,
            "rates": {"first": self.rates.first, "lr": self.rates.lr},
            "rounds": self.rounds,
            "trace": self.trace,
            "trace_every": self._trace_every,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from a state.

        Raises:
            UsageError: the state belongs to a model of another size.
        """
        if state["round"].anchor_D.shape != self.round.anchor_D.shape:
            stored_size, size = state["round"].anchor_D.numel(), self.round.anchor_D.numel()
            raise UsageError(f"load_state_dict: a state of {stored_size:,} parameters, and the model has {size:,}")
        self.t, self.round, self.worker_state = state["t"], state["round"], state["worker_state"]
        self._row.write(state["weights"][0])
        self.channel.ledger.restore(self.t, list(state["ledger"]))
        self.rates = LearningRates(list(state["rates"]["first"]), list(state["rates"]["lr"]))
        self.rounds, self.trace = list(state["rounds"]), list(state["trace"])
        self._trace_every = state["trace_every"]
