"""The training loop: local steps of all workers, alternating with `Strategy.step`. It depends on no one strategy.

Several cells may share one matrix of workers. Each has its own group of rows, strategy, ledger and last step, and none
can read the rows of another.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fdabench.core.channel import Channel
from fdabench.core.strategy import HasSyncRule, Round, StepContext, StepResult, Strategy, SyncRule
from fdabench.engine.arrays import BatchMetrics
from fdabench.engine.clients import Clients, ClientState
from fdabench.engine.workers import WorkerGroupState, Workers


class StepEvent(NamedTuple):
    """The end of a local step, before the result of a sync is loaded into the workers. The paper evaluates then."""

    step: int
    """The number of local steps so far, at least 1."""
    losses: BatchMetrics
    outcome: StepResult
    round: Round
    """The round that this step belongs to."""
    context: StepContext
    """The step, with the models of the workers before the sync."""
    b_KB: Tensor
    """Their running statistics."""


class TrainingState(NamedTuple):
    """The complete state of a cell between two local steps, apart from its ledger."""

    step: int
    """The number of local steps so far."""
    round: Round
    workers: WorkerGroupState
    clients: Mapping[int, ClientState] = {}
    """What stays with the clients that are not in the present round."""


def _raise(error: Exception) -> None:
    raise error


def _pass(state: Callable[[], TrainingState]) -> None:
    pass


@dataclass(frozen=True)
class CellLoop:
    """The training of one cell: `steps` local steps, or fewer if `on_step` returns False."""

    strategy: Strategy
    channel: Channel
    steps: int
    on_step: Callable[[StepEvent], bool]
    on_error: Callable[[Exception], None] = _raise
    """Called with what the strategy or `on_step` raised. This cell ends; the others continue."""
    on_step_end: Callable[[Callable[[], TrainingState]], None] = _pass
    """Called after each local step and its sync, with a function that returns the state of the cell."""
    initial_state: TrainingState | None = None
    """The state of a checkpoint to resume from; the ledger of `channel` must be restored to the same step."""
    clients: Clients | None = None
    """The clients of which some train in each round; None: the same workers train in all rounds."""
    sent_base: int = 0
    """The number of frozen parameters that each worker receives before the first step."""

    @property
    def start_step(self) -> int:
        """The number of local steps before this loop: 0 unless the cell is resumed."""
        return self.initial_state.step if self.initial_state else 0


class _ActiveCell(NamedTuple):
    cell: CellLoop
    round: Round
    rule: SyncRule | None
    """How the strategy's rounds end; determined once, because an isinstance check of a protocol is slow."""
    worker_state: Mapping[str, Tensor]


def train_loop(workers: Workers, cells: Sequence[CellLoop]) -> None:
    """Train several cells step by step in one matrix of workers.

    Args:
        workers: all workers of this process; group n belongs to cell n.
        cells: the cells. All must have the same `start_step`.
    """
    active: list[_ActiveCell | None] = [_start_cell(cell, workers, group) for group, cell in enumerate(cells)]
    (t,) = {cell.start_step for cell in cells}
    while any(active):
        left = [group for group, active_cell in enumerate(active) if active_cell is not None]
        if len(left) < len(active):
            workers.retain_groups(left)
        losses = workers.backward()
        active = [
            _correct_gradients(workers, group, active_cell, t, losses)
            for group, active_cell in enumerate(filter(None, active))
        ]
        workers.update()
        active = [
            active_cell and _advance(workers, group, active_cell, t, losses) for group, active_cell in enumerate(active)
        ]
        t += 1


def _start_cell(cell: CellLoop, workers: Workers, group: int) -> _ActiveCell | None:
    try:
        if cell.start_step >= cell.steps:
            return None
        rule = cell.strategy.rule if isinstance(cell.strategy, HasSyncRule) else None
        r = _initial_round(cell, workers, group)
        if cell.initial_state is not None:
            return _ActiveCell(cell, r, rule, cell.initial_state.workers.worker_state)
        w_KD = workers.weights(group)
        names = rule.worker_state if rule is not None else ()
        return _ActiveCell(cell, r, rule, {name: torch.zeros_like(w_KD) for name in names})
    except Exception as error:
        cell.on_error(error)
        return None


def _initial_round(cell: CellLoop, workers: Workers, group: int) -> Round:
    if cell.initial_state is None:
        if cell.sent_base:
            cell.channel.broadcast_base(cell.sent_base)
        return cell.strategy.init(cell.channel.broadcast_initial(workers.weights(group)[0].clone()))
    if cell.clients is not None:
        cell.clients.resume(workers, group, cell.initial_state.round.index, cell.initial_state.clients)
    workers.load_state_dict(group, cell.initial_state.workers, cell.initial_state.step)
    return cell.initial_state.round


def _context(workers: Workers, group: int, active: _ActiveCell, t: int, losses: BatchMetrics) -> StepContext:
    return StepContext(
        t,
        workers.weights(group),
        workers.gradients(group),
        losses.loss_K,
        active.cell.steps,
        workers.lr_at,
        active.worker_state,
        workers.layout,
    )


def _correct_gradients(
    workers: Workers, group: int, active: _ActiveCell, t: int, losses: BatchMetrics
) -> _ActiveCell | None:
    """Let the correction of a cell replace the gradients of local step t. Returns None if it raised."""
    if active.rule is None or active.rule.correction is None:
        return active
    channel = active.cell.channel
    channel.ledger.step = t + 1
    try:
        with torch.no_grad():
            context = _context(workers, group, active, t, workers.metrics_of(group, losses))
            corrected = active.rule.correction.correct(context, active.round, channel)
            workers.gradients(group).copy_(corrected.g_KD)
    except Exception as error:
        active.cell.on_error(error)
        return None
    return _with_worker_state(active, corrected.worker_state)


def _with_worker_state(active: _ActiveCell, changed: Mapping[str, Tensor] | None) -> _ActiveCell:
    return active._replace(worker_state={**active.worker_state, **changed}) if changed else active


def _advance(workers: Workers, group: int, active: _ActiveCell, t: int, losses: BatchMetrics) -> _ActiveCell | None:
    """The cell after local step t; None if that was its last step or an error ended it."""
    try:
        following, more = _step(workers, group, active, t, workers.metrics_of(group, losses))
    except Exception as error:
        # an exception of a strategy fails its own cell only
        active.cell.on_error(error)
        return None
    return following if more and t + 1 < active.cell.steps else None


def _step(workers: Workers, group: int, active: _ActiveCell, t: int, losses: BatchMetrics) -> tuple[_ActiveCell, bool]:
    cell, context = active.cell, _context(workers, group, active, t, losses)
    cell.channel.ledger.step = t + 1
    with torch.no_grad():
        outcome = cell.strategy.step(context, active.round, cell.channel)
    more = cell.on_step(StepEvent(t + 1, losses, outcome, active.round, context, workers.statistics(group)))
    if outcome.synced:
        workers.load_synced_models(group, outcome.w_KD, cell.channel, outcome.round.index)
    following = _with_worker_state(active._replace(round=outcome.round), outcome.worker_state)
    clients = cell.clients
    if outcome.synced and clients is not None:
        client_states = clients.next_round(workers, group, outcome.round.index, following.worker_state)
        following = following._replace(worker_state=client_states)
    cell.on_step_end(
        lambda: TrainingState(
            t + 1,
            following.round,
            workers.state_dict(group, following.worker_state),
            {} if clients is None else clients.absent,
        )
    )
    return following, more
