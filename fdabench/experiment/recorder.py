"""Records the tables of a running cell, evaluates its model, and decides when the cell ends.

`experiment.train` calls `Recorder.on_step` after each local step.
"""

import json
from collections.abc import Callable
from math import isfinite, isnan, nan
from time import perf_counter
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from fdabench.accounting.costs import PAPER, EvalPoint, bytes_at, syncs_at
from fdabench.cell_config import CellConfig
from fdabench.core.channel import Channel
from fdabench.core.collective import Collective
from fdabench.core.ledger import ALL_REDUCE, Ledger
from fdabench.core.row_sums import row_squared_norms
from fdabench.core.schedule import is_period_end
from fdabench.core.strategy import RESIDUAL, HasSyncRule, RoundInfo, Strategy
from fdabench.core.sync import global_update
from fdabench.distributed.traffic_meter import EVALUATION
from fdabench.engine.arrays import BatchMetrics
from fdabench.engine.evaluate import EvalMetrics, WorstDecile, evaluate, model_variance
from fdabench.engine.loop import StepEvent
from fdabench.experiment.build import CellSetup
from fdabench.metrics import METRICS
from fdabench.results.derive import first_evaluation_reaching

TRACE_ROWS = 2000

ResultRow = dict[str, Any]


class Progress(NamedTuple):
    """The progress of a cell at an evaluation."""

    step: int
    budget: int
    accuracy: float
    bytes_total: int
    syncs: int
    variance_over_theta: float
    """Model variance over theta; NaN without a threshold."""
    loss: float = nan
    """Mean cross-entropy in nats."""


def evaluated_model(
    rule: str, strategy: Strategy, moment: StepEvent, mean_D: Tensor, channel: Channel
) -> tuple[Tensor, bool]:
    """Return the model to evaluate at the end of a local step, selected by `eval.model` of the suite.

    Args:
        rule: "virtual-mean", "synced" or "paper"; `suite.schema.Eval` describes them.
        strategy: of the cell.
        moment: the local step.
        mean_D: the mean of the models of the workers before the sync of this step, shape [D].
        channel: of the cell. With a codec, models are encoded and averaged as in this channel, without an entry in the
            ledger.

    Returns:
        The weights of the model, shape [D], and whether the model includes the sync of this step.
    """
    before, after = moment.round, moment.outcome.round
    # normalized averaging too gives another model than the mean of the workers' models
    server_owns_model = before.server_owns_model or channel.normalization is not None
    if rule == "synced" or (rule == "paper" and server_owns_model):
        return after.anchor_D, moment.outcome.synced
    if rule == "virtual-mean" and server_owns_model:
        if not isinstance(strategy, HasSyncRule) or strategy.rule.is_streaming:
            # without a `SyncRule` a sync cannot be computed in advance, and with fragments or a delay the next one does
            # not make a whole model of this step; so the model of the last one is used
            return after.anchor_D, moment.outcome.synced
        ends = strategy.rule
        if ends.codec is not None or channel.normalization is not None:
            # the same averaging, with a ledger that nobody reads
            unmetered = Channel(
                channel.collective,
                Ledger(moment.step),
                seed=channel.seed,
                normalization=channel.normalization,
                client_share=channel.client_share,
            )
            return global_update(moment.context, before, ends, unmetered).w_D, False
        info = RoundInfo(before.start, moment.step, moment.context.lr_at, channel.client_share)
        w_D, _ = ends.server.update(before.anchor_D, mean_D - before.anchor_D, before.server, info)
        return w_D, False
    return mean_D, False


def residual_ratio(strategy: Strategy, moment: StepEvent, collective: Collective) -> float:
    """Return how much of its message a codec with error feedback left out: the mean of |e_k| / |m_k| over the workers.

    Args:
        strategy: of the cell.
        moment: the local step of a sync.
        collective: of the cell. One number of each worker is gathered, without an entry in the ledger.

    Returns:
        NaN without error feedback, in a sync of fragments, which messages leave out on purpose, and if no worker had
        anything to send.
    """
    rule = strategy.rule if isinstance(strategy, HasSyncRule) else None
    if rule is None or rule.feedback is None or rule.is_streaming or moment.outcome.worker_state is None:
        return nan
    context = moment.context
    m_KD = context.w_KD - moment.round.anchor_D + rule.feedback * context.worker_state[RESIDUAL]
    left_out_K = (row_squared_norms(moment.outcome.worker_state[RESIDUAL]) / row_squared_norms(m_KD)).sqrt()
    return float(collective.all_gather(left_out_K[:, None]).nanmean())


class Recorder:
    """Observes the steps of a cell: evaluates its model at the configured interval, adds rows, and ends the cell."""

    def __init__(
        self,
        setting: CellSetup,
        config: CellConfig,
        cell_id: str,
        on_progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._setting, self._config, self._cell_id = setting, config, cell_id
        self._test = setting.held_out
        self._on_progress, self._should_stop = on_progress, should_stop
        self._theta = float(getattr(setting.strategy, "theta", nan))
        self._trace_every = max(1, setting.budget // TRACE_ROWS)
        self._start_time = perf_counter()
        # a row for each worker held by this process
        self._trained_K2, self._num_steps, self._last_sync = torch.zeros(len(setting.group.samplers), 2).double(), 0, 0
        self.evals: list[ResultRow] = []
        self.rounds: list[ResultRow] = []
        self.trace: list[ResultRow] = []
        self.state, self.wall_s = "done", 0.0
        self.final: tuple[Tensor, Tensor] | None = None
        """The weights and the running statistics of the last evaluation; None before it."""

    def state_dict(self) -> ResultRow:
        """Return the rows, sums and time that a recorder needs to continue from this step."""
        rows = {"evals": self.evals, "rounds": self.rounds, "trace": self.trace}
        return {
            "rows": json.dumps(rows),
            "trained": self._setting.channel.collective.all_gather(self._trained_K2),
            "counted": self._num_steps,
            "last_sync": self._last_sync,
            "wall_s": self.wall_s,
        }

    def load_state_dict(self, notes: ResultRow) -> None:
        """Continue from the state of another recorder, including its time."""
        rows = json.loads(notes["rows"])
        self.evals, self.rounds, self.trace = rows["evals"], rows["rounds"], rows["trace"]
        local = self._setting.process_group.local_workers(len(notes["trained"]))
        self._trained_K2, self._num_steps = notes["trained"][local.start : local.stop], notes["counted"]
        self._last_sync, self.wall_s = notes["last_sync"], notes["wall_s"]
        self._start_time = perf_counter() - self.wall_s

    def on_step(self, moment: StepEvent) -> bool:
        """Record a step.

        Returns:
            Whether the cell continues.
        """
        self._record_step(moment.losses)
        due = is_period_end(moment.step - 1, self._setting.eval_period) or moment.step == self._setting.budget
        if due or moment.outcome.synced:
            with self._setting.channel.instrument(EVALUATION, 0, ALL_REDUCE):
                self._measure(moment, due)
        if not isnan(moment.outcome.estimate) and moment.step % self._trace_every == 0:
            self.trace.append({"step": moment.step, "estimate": moment.outcome.estimate})
        # a cell that has made its last step is done, not interrupted
        if self.state == "done" and moment.step < self._setting.budget and self._should_stop():
            self.state = "interrupted"
        self.wall_s = perf_counter() - self._start_time
        return self.state == "done"

    def _measure(self, moment: StepEvent, due: bool) -> None:
        collective = self._setting.channel.collective
        mean_D = collective.mean(moment.context.w_KD)
        variance = model_variance(moment.context.w_KD, mean_D, collective)
        if moment.outcome.synced:
            self._record_sync(moment, variance)
        if due:
            self._evaluate(moment, mean_D, variance)

    def _record_sync(self, moment: StepEvent, variance: float) -> None:
        info = RoundInfo(self._last_sync, moment.step, moment.context.lr_at)
        self.rounds.append(
            {
                "round": moment.round.index + 1,
                "step": moment.step,
                "steps": moment.step - self._last_sync,
                "estimate": moment.outcome.estimate,
                "variance": variance,
                "theta": self._theta if isnan(moment.outcome.theta) else moment.outcome.theta,
                "lr": info.lr_sum / (info.stop - info.start),
                "residual": residual_ratio(self._setting.strategy, moment, self._setting.channel.collective),
            }
        )
        self._last_sync = moment.step

    def _evaluate(self, moment: StepEvent, mean_D: Tensor, variance: float) -> None:
        setting = self._setting
        w_D, after_sync = evaluated_model(self._config.eval.model, setting.strategy, moment, mean_D, setting.channel)
        instant = EvalPoint(moment.step, after_sync)
        ledger = pd.DataFrame(setting.channel.ledger.entries)
        syncs = syncs_at(ledger, instant)
        mean_B = setting.channel.collective.mean(moment.b_KB)
        test = setting.process_group.broadcast(lambda: self._evaluate_weights(w_D, mean_B))
        row = {
            "cell_id": self._cell_id,
            "step": moment.step,
            "epoch": float(moment.step / setting.epoch),
            "round": syncs + 1,
            "syncs": syncs,
            "after_sync": instant.after_sync,
            **bytes_at(ledger, instant, self._config.workers, "paper").columns(PAPER),
            "test_accuracy": test.accuracy,
            "test_loss": test.loss,
            **({} if test.worst_decile is None else {"test_worst_decile": test.worst_decile}),
            **self._means(),
            "estimate": moment.outcome.estimate,
            "variance": variance,
            "wall_s": perf_counter() - self._start_time,
        }
        self.evals.append(row)
        self._check_stop(row)
        if moment.step == setting.budget or self.state != "done":
            self.final = w_D, mean_B
        fullness = variance / (self._theta or nan)
        self._on_progress(
            Progress(
                row["step"], setting.budget, test.accuracy, row["paper_bytes_total"], row["syncs"], fullness, test.loss
            )
        )

    def _evaluate_weights(self, w_D: Tensor, mean_B: Tensor) -> EvalMetrics:
        """Evaluate weights of shape [D] with the mean running statistics of the workers, shape [B]."""
        owners_N, config = self._setting.held_out_owners, self._config
        worst = None if owners_N is None else WorstDecile(owners_N, METRICS[config.eval.metric].source)
        return evaluate(self._setting.group.start, w_D, mean_B, self._test, config.precision, worst)

    def _record_step(self, losses: BatchMetrics) -> None:
        # summed on the device, because reading a number waits for an accelerator; `_trained_K2` is float64
        step_K2 = torch.stack([losses.loss_K, losses.accuracy_K], dim=1)
        self._trained_K2, self._num_steps = self._trained_K2.to(step_K2.device) + step_K2, self._num_steps + 1

    def _means(self) -> ResultRow:
        """Mean training loss and accuracy of the local steps since the last evaluation."""
        trained_K2 = self._setting.channel.collective.all_gather(self._trained_K2) / self._num_steps
        loss, accuracy = trained_K2.mean(dim=0).tolist()
        self._trained_K2, self._num_steps = torch.zeros_like(self._trained_K2), 0
        return {"train_loss": loss, "train_accuracy": accuracy}

    def _check_stop(self, row: ResultRow) -> None:
        if not (isfinite(row["train_loss"]) and isfinite(row["test_loss"])):
            self.state = "diverged"
        elif (target := self._config.eval.stop_at) is not None:
            rule, metric = self._config.eval, METRICS[self._config.eval.metric]
            values = metric.of(pd.DataFrame(self.evals), "test")
            if first_evaluation_reaching(values, target, rule.consecutive, rule.comparison, metric) is not None:
                self.state = "target_reached"
