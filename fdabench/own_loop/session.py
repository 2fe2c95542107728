"""`fdabench.sync`: hooks the optimizer of a user's loop, so that a strategy decides after each of its steps.

Each rank may make another number of steps: because a gradient scaler skips some, or because its data end earlier. The
ranks agree before each step on whether any of them makes one, by an all-reduce of 16 bytes, of kind `flags` in the
table `traffic`. A rank that leaves the `with` block takes part in the decisions of the others, with its model as it is,
until all have left. It is a worker that makes no local step.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from math import nan
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from fdabench.cell_config import TableValue
from fdabench.core.channel import Channel, no_instrumentation
from fdabench.core.counter_rng import UINT32_MASK
from fdabench.core.ledger import ALL_REDUCE, Ledger, LedgerEntry
from fdabench.corrections.averaged import Averaged
from fdabench.distributed.process_group import ProcessGroup, Reduction
from fdabench.distributed.traffic_meter import FLAGS, TrafficMeter
from fdabench.distributed.user_group import (
    FLAG_BYTES,
    LostRankNames,
    StepFlags,
    UserGroup,
    agree_on_step,
    broadcast_tensor,
    gather_places,
    local_gradients,
    user_process_group,
)
from fdabench.errors import UsageError
from fdabench.own_loop.parameters import BufferRule, check_model, unwrap_optimizer
from fdabench.own_loop.record import LoggedMetrics, LoopRecord, LoopSettings, RunDescription, write_run
from fdabench.own_loop.settings import (
    UNKNOWN_STEPS,
    LoopLength,
    LoopStrategy,
    build_loop_strategy,
    check_options,
    strategy_table,
)
from fdabench.own_loop.state import decode_state, encode_state, state_codec
from fdabench.own_loop.worker import LoopWorker

logger = logging.getLogger(__name__)


class SyncSession:
    """What `sync` returns: a context manager around a training loop.

    The hooks are set when the block is entered and removed when it is left.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        settings: LoopStrategy,
        group: ProcessGroup,
        length: LoopLength,
        buffers: BufferRule,
        seed: int,
    ) -> None:
        self._row, self._model, self._optimizer = check_model(model, optimizer), model, optimizer
        self._block = ExitStack()
        self._settings, self._group, self._length = settings, group, length
        ledger = Ledger()
        one_each = (1,) * group.size
        self._meter, self._flag_meter = TrafficMeter(group, ledger, one_each), TrafficMeter(group, ledger, one_each)
        weights = torch.full((group.size,), 1.0 / group.size, device=self._row.device)
        instrument = self._meter if group.size > 1 else no_instrumentation
        channel = Channel(group.make_collective(weights), ledger, instrument=instrument, seed=seed & UINT32_MASK)
        self._named_errors: AbstractContextManager[None] = (
            LostRankNames(group, gather_places(group)) if group.size > 1 else nullcontext()
        )
        self._broadcast_model()
        steps = UNKNOWN_STEPS if length.steps is None else length.steps
        self._worker = LoopWorker(self._row, settings.strategy, channel, steps, buffers)
        self._metrics: list[LoggedMetrics] = []
        self._hooks: list[RemovableHandle] = []
        self._start_time, self._wall_s, self._waits = perf_counter(), 0.0, False

    def _broadcast_model(self) -> None:
        """Let all ranks start from the weights and buffers of rank 0."""
        for tensor in (*self._row.parameters, *self._model.buffers()):
            broadcast_tensor(self._group, tensor.detach())

    @property
    def steps(self) -> int:
        """Decisions so far: the steps of the rank that has made most of them. Equal in all ranks."""
        return self._worker.t

    @property
    def syncs(self) -> int:
        """Syncs so far."""
        return self._worker.round.index

    @property
    def ledger(self) -> Sequence[LedgerEntry]:
        """The collectives so far, as in the table `ledger`."""
        return tuple(self._worker.channel.ledger.entries)

    @property
    def corrects_gradients(self) -> bool:
        """Whether the strategy changes gradients before the optimizer uses them, as `ddp` and `scaffold` do."""
        return self._worker.corrects_gradients

    def __enter__(self) -> Self:
        if self._hooks:
            raise UsageError("fdabench.sync: the block is already entered; call sync again for another")
        self._start_time = perf_counter()
        self._block.enter_context(local_gradients(self._model))
        self._hooks = [
            self._optimizer.register_step_pre_hook(self._before_step),
            self._optimizer.register_step_post_hook(self._after_step),
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            # after an exception the other ranks are not to wait for this one
            if error is None:
                self.join()
        finally:
            for hook in self._hooks:
                hook.remove()
            self._hooks = []
            self._block.close()
            self._wall_s += perf_counter() - self._start_time

    def _seconds(self) -> float:
        """Seconds within `with` blocks so far."""
        return self._wall_s + (perf_counter() - self._start_time if self._hooks else 0.0)

    def join(self) -> None:
        """Take part in the decisions of the others until every rank has called this.

        Call it before a collective of your own, such as an evaluation on all ranks at the end of an epoch, if ranks may
        have made different numbers of steps. The end of the `with` block calls it.

        Raises:
            ProcessLostError: another rank does not respond.
        """
        self._waits = True
        try:
            with self._named_errors:
                while (flags := self._agree(active=False)).any_active:
                    self._worker.rates.append(self._worker.t, flags.lr)
                    self._idle_step(flags.lr)
        finally:
            self._waits = False

    def _idle_step(self, lr: float) -> None:
        """Take part in a step that other ranks make. With averaged gradients this rank makes it too, with zeros."""
        rule = self._worker.rule
        if rule is not None and rule.correction is not None:
            g_D = self._worker.correct_gradients(torch.zeros(1, self._row.size, device=self._row.device))
            if isinstance(rule.correction, Averaged):
                # all ranks have one model and one optimizer state, so this one has to make the same step
                self._row.write_gradients(g_D)
                for group in self._optimizer.param_groups:
                    group["lr"] = group["lr"] if lr != lr else lr
                self._optimizer.step()
                self._optimizer.zero_grad()
        self._worker.finish_step()

    def _before_step(
        self, optimizer: torch.optim.Optimizer, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> None:
        if self._waits:
            return
        corrects = self._worker.corrects_gradients
        # the optimizer itself is the first argument
        if corrects and any(argument is not None for argument in (*args[1:], kwargs.get("closure"))):
            raise UsageError(
                "fdabench.sync: optimizer.step(closure) computes gradients after the strategy would correct them; call "
                "backward first, and step() without a closure"
            )
        if corrects and getattr(optimizer, "grad_scale", None) is not None:
            raise UsageError(
                "fdabench.sync: the optimizer unscales gradients itself, after the strategy would correct them; call "
                "scaler.unscale_(optimizer) before scaler.step(optimizer)"
            )
        with self._named_errors:
            flags = self._agree(active=True)
            self._worker.rates.append(self._worker.t, flags.lr)
            if corrects:
                self._row.write_gradients(self._worker.correct_gradients(self._row.read_gradients()))

    def _after_step(
        self, optimizer: torch.optim.Optimizer, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> None:
        if not self._waits:
            with self._named_errors:
                self._worker.finish_step()

    def _agree(self, active: bool) -> StepFlags:
        lr = self._optimizer.param_groups[0].get("lr", nan)
        if self._group.size == 1:
            return StepFlags(active, float(lr))
        with self._flag_meter(FLAGS, FLAG_BYTES, ALL_REDUCE):
            return agree_on_step(self._group, active, float(lr))

    def log(
        self,
        step: int | None = None,
        accuracy: float = nan,
        loss: float = nan,
        train_accuracy: float = nan,
        train_loss: float = nan,
    ) -> None:
        """Record an evaluation. Rank 0's are saved; it sends nothing.

        Args:
            step: optimizer steps so far; default: those that the session has counted.
            accuracy: fraction of the held-out samples that the model classifies correctly.
            loss: mean loss on them, in nats.
            train_accuracy, train_loss: the same of the local steps since the last evaluation.

        Raises:
            UsageError: the step is in the future, or before that of the last evaluation.
        """
        at = self.steps if step is None else step
        last = self._metrics[-1].step if self._metrics else 0
        if not last <= at <= self.steps:
            raise UsageError(
                f"log: step {at} is not between {last}, that of the last evaluation, and {self.steps}, the steps so "
                "far; pass s.steps, or leave step out"
            )
        self._metrics.append(LoggedMetrics(at, accuracy, loss, train_accuracy, train_loss, self._seconds()))

    def save(self, folder: str | Path, description: RunDescription | None = None) -> None:
        """Write a results folder, which `fdabench report`, `show` and `check` read. All ranks must call it.

        Rank 0 writes; the ranks exchange the seconds of their collectives. A folder that has runs of other loops keeps
        them, so that a report compares them.

        Args:
            folder: is created if it does not exist.
            description: names the data, the model and the batch size in reports.

        Raises:
            ResultError: the folder has the results of a suite, or cannot be written.
            ProcessLostError: another rank does not respond.
        """
        wall_s = self._seconds()
        traffic = self._gather_traffic()
        if self._group.rank == 0:
            worker = self._worker
            tables = LoopRecord(
                worker.channel.ledger.entries, worker.rounds, worker.trace, self._metrics, traffic, worker.t, wall_s
            )
            run = description or RunDescription()
            loop = LoopSettings(self._settings, self._row, self._optimizer, self._group, self._length)
            write_run(Path(folder), run, loop, tables)
        self._group.barrier()

    def _gather_traffic(self) -> list[Any]:
        if self._group.size == 1:
            return []
        return [*self._meter.gather_all_ranks(), *self._flag_meter.gather_all_ranks()]

    def state_dict(self) -> dict[str, Any]:
        """The state of this rank: its weights, the round, the ledger and the tables. Each rank saves its own.

        The optimizer's and the data loader's states are not in it; save them as always. `torch.load` reads it with
        `weights_only=True`.
        """
        content = {**self._worker.state(), "metrics": [list(metrics) for metrics in self._metrics]}
        return {
            "rank": self._group.rank,
            "size": self._group.size,
            "strategy": self._settings.config.to_table(),
            "state": encode_state(content, self._settings.strategy, self._row.device),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the state that `state_dict` returned in the same rank of a group of the same size.

        Raises:
            UsageError: the state belongs to another rank, size, strategy or model.
        """
        expected = {"rank": self._group.rank, "size": self._group.size, "strategy": self._settings.config.to_table()}
        for key, value in expected.items():
            if state.get(key) != value:
                raise UsageError(
                    f"load_state_dict: {key} is {state.get(key)!r:.200} in the state and {value!r:.200} here"
                )
        content = decode_state(state["state"], self._settings.strategy, self._row.device)
        self._worker.load_state(content)
        self._metrics = [LoggedMetrics(*metrics) for metrics in content["metrics"]]


class DisabledSession:
    """What `sync` returns with `enabled=False`: every method does nothing, and the optimizer has no hook."""

    steps = syncs = 0
    corrects_gradients = False
    ledger: Sequence[LedgerEntry] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def join(self) -> None:
        pass

    def log(
        self,
        step: int | None = None,
        accuracy: float = nan,
        loss: float = nan,
        train_accuracy: float = nan,
        train_loss: float = nan,
    ) -> None:
        pass

    def save(self, folder: str | Path, description: RunDescription | None = None) -> None:
        logger.warning("fdabench.sync has enabled=False: nothing is written to %s", folder)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass


def sync(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    strategy: str | Mapping[str, TableValue] = "fda",
    *,
    steps: int | None = None,
    steps_per_epoch: int | None = None,
    buffers: BufferRule = "local",
    seed: int = 0,
    reduction: Reduction = "allreduce",
    process_group: UserGroup | None = None,
    enabled: bool = True,
    **keys: TableValue,
) -> SyncSession | DisabledSession:
    """Synchronize the models of all ranks when a strategy says so, in any PyTorch loop.

    >>> model = torch.nn.Linear(4, 2)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with sync(model, optimizer, "fedavg", local_steps=5) as s:
    ...     for _ in range(20):
    ...         model(torch.ones(8, 4)).square().mean().backward()
    ...         optimizer.step()
    ...         optimizer.zero_grad()
    >>> s.steps, s.syncs
    (20, 4)

    Each rank of the process group is one worker with its own model, optimizer and data. All ranks call this, and start
    from the weights of rank 0. Without a process group there is one worker.

    Args:
        model: of this rank, on its device. Within the block, a model in DistributedDataParallel does not average
            gradients (`no_sync`). Models whose parameters are sharded are refused.
        optimizer: steps all trainable parameters. Each of its steps is one decision. A wrapper with the optimizer in
            its attribute `optimizer`, such as accelerate's and Lightning's, is accepted.
        strategy: a kind such as "fda", or a table of a suite with a `kind`.
        steps: optimizer steps of the loop, for strategies that need to know the last one.
        steps_per_epoch: optimizer steps in an epoch, for keys in epochs.
        buffers: "local", or "averaged" at every sync, as running means of batch normalization may be.
        seed: of sketches and of codecs; equal in all ranks.
        reduction: "allreduce" sums as the backend does; "ordered" gathers all rows and sums them in rank order, so that
            the bits are those of a simulation.
        process_group: the ranks; default: the default group.
        enabled: False: the loop trains without hooks.
        keys: the other keys of the strategy's table, as in a suite. Lists are not allowed.

    Returns:
        A context manager; see `SyncSession`.

    Raises:
        SuiteError: the strategy's keys are wrong, or it needs what a loop cannot give; lists every fault.
        UsageError: an option, the model or the optimizer cannot be used; names each fault and its remedy.
    """
    if not enabled:
        return DisabledSession()
    check_options(length := LoopLength(steps, steps_per_epoch), buffers, reduction)
    optimizer = unwrap_optimizer(optimizer)
    row = check_model(model, optimizer)
    settings = build_loop_strategy(strategy_table(strategy, keys), row.size, length, seed, optimizer)
    group = user_process_group(process_group, reduction, row.device, state_codec(settings.strategy, row.device))
    return SyncSession(model, optimizer, settings, group, length, buffers, seed)
