"""Runs cells and writes their folders: a record at the start, and tables and the final record at the end.

Worker processes call `run_cells_batched`.
"""

import logging
import os
import platform
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import NamedTuple

import torch

from fdabench.datasets.base import DatasetTensors
from fdabench.engine.gradients.selection import ENGINES
from fdabench.errors import ProcessLostError
from fdabench.experiment.checkpoint.encoding import codec_for
from fdabench.experiment.checkpoint.file import CheckpointFile
from fdabench.experiment.checkpoint.state import CheckpointState
from fdabench.experiment.checkpoint.state_schema import check, sizes_of
from fdabench.experiment.code_fingerprint import code_hashes
from fdabench.experiment.distributed_cell import RankContext, run_as_rank_zero
from fdabench.experiment.environment import environment
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.experiment.recorder import Progress
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.train import CellJob, ResumeError, TrainingResult, train_cells
from fdabench.models.weight_files import MODEL_FILE, write_weights
from fdabench.registry.plugin_errors import failure_of
from fdabench.registry.registry import BUILT_IN, Registry
from fdabench.results.cell_record import SUCCESS_STATES, CellRecord, RunProcess
from fdabench.results.files import atomic_write
from fdabench.results.folder import ResultsFolder
from fdabench.suite.cell import Cell
from fdabench.suite.components.use import components_used

logger = logging.getLogger(__name__)

_SAME_BITS = ("torch", "numpy", "platform", "device", "capability", "blas", "threads")
"""Parts of the environment that must be equal to resume a cell with the same bits."""


class CellCallbacks(NamedTuple):
    """Functions that are called while cells run: with progress, to ask whether to stop, and with remarks."""

    on_progress: Callable[[str, Progress], None] = lambda cell_id, progress: None
    should_stop: Callable[[], bool] = lambda: False
    on_warning: Callable[[str, str], None] = lambda cell_id, text: None


class ExecutionMetadata(NamedTuple):
    """The fields of a record about how the workers of a cell are distributed and averaged."""

    engine: str
    processes: int
    mean: str


@dataclass(frozen=True)
class ExecutionContext:
    """What one process runs cells with.

    It is not part of `ExecutionConfig` because its functions and connections exist in one process only.

    Args:
        config: the settings of the run, with the device of this process.
        load: returns a data set by name, on the device.
        registry: the components that cells name.
        rank_context: the connection to the other ranks; None if this process holds all workers of a cell.
    """

    config: ExecutionConfig
    load: Callable[[str], DatasetTensors]
    registry: Registry = BUILT_IN
    rank_context: RankContext | None = None

    @property
    def execution_metadata(self) -> ExecutionMetadata:
        """How the workers of a cell are distributed and averaged."""
        if self.rank_context is None:
            return ExecutionMetadata(self.config.engine, processes=1, mean="ordered")
        return ExecutionMetadata("distributed", self.rank_context.member.size, self.config.reduction)


@dataclass
class _PreparedCell:
    """A cell that is about to run, with its last checkpoint."""

    cell: Cell
    resolved: ResolvedCell
    checkpoint: CheckpointFile
    remarks: list[str]
    resumed: CheckpointState | None

    @property
    def completed_steps(self) -> int:
        """Local steps that were made before the checkpoint."""
        return self.resumed.training.step if self.resumed else 0


def run_cells_batched(
    cells: Sequence[Cell], store: ResultsFolder, machine: ExecutionContext, watcher: CellCallbacks
) -> list[CellRecord]:
    """Run cells as one batch and write their folders. A failure becomes a record, not an exception.

    A record has the state `interrupted` from the start, which stays true if the process dies. A cell with a checkpoint
    resumes from it, in a batch with the cells that have made as many steps. Cells that do not fit into memory together
    are run one by one.

    Args:
        cells: with equal `batch_key`.
        store: the results folder.
        machine: what they are computed with.
        watcher: is called while they run.

    Returns:
        The final record of each cell, in the order of `cells`.
    """
    prepared = sorted(
        (_prepare(cell, store, machine, watcher) for cell in cells),
        key=lambda prepared_cell: prepared_cell.completed_steps,
    )
    records = {}
    for _, group in groupby(prepared, key=lambda prepared_cell: prepared_cell.completed_steps):
        for record in _run_batch(list(group), store, machine, watcher):
            records[record.id] = record
    return [records[cell.id] for cell in cells]


def _prepare(cell: Cell, store: ResultsFolder, machine: ExecutionContext, watcher: CellCallbacks) -> _PreparedCell:
    remarks: list[str] = []
    resolved = ResolvedCell(cell.config, machine.registry)
    store.remove_temp_files(cell.id)

    def on_warning(text: str) -> None:
        remarks.append(text)
        watcher.on_warning(cell.id, text)

    fingerprint: dict[str, object] = {
        "cell": cell.id,
        "code": code_hashes(cell.config, machine.registry),
        "engine": machine.config.engine,
    }
    if machine.execution_metadata.mean != "ordered":
        fingerprint["sums"] = machine.execution_metadata._asdict()
    fingerprint |= {key: environment(machine.config.device)[key] for key in _SAME_BITS}
    checkpoint = CheckpointFile(
        store.checkpoint_path(cell.id),
        fingerprint,
        codec_for(cell.config, machine.registry, machine.config.device),
        lambda state: check(state, sizes_of(cell.id, resolved)),
        on_warning,
        machine.config.checkpoint_s,
    )
    resumed = checkpoint.read()
    if resumed is not None:
        logger.info("resumed from step %d", resumed.training.step, extra={"cell": cell.id})
    return _PreparedCell(cell, resolved, checkpoint, remarks, resumed)


def _run_batch(
    group: Sequence[_PreparedCell], store: ResultsFolder, machine: ExecutionContext, watcher: CellCallbacks
) -> list[CellRecord]:
    started = [_write_start_record(prepared, store, machine, len(group)) for prepared in group]
    try:
        outcomes = _train(group, machine, watcher)
    except BaseException as error:
        failure = failure_of(error, machine.registry)
        if failure is None:
            raise
        if len(group) > 1:
            return [
                record for prepared in group for record in run_cells_batched([prepared.cell], store, machine, watcher)
            ]
        outcomes = [failure]
    return [
        _finish(prepared, record, done, store, machine, watcher)
        for prepared, record, done in zip(group, started, outcomes, strict=True)
    ]


def _finish(
    prepared: _PreparedCell,
    started: CellRecord,
    done: TrainingResult | Exception,
    store: ResultsFolder,
    machine: ExecutionContext,
    watcher: CellCallbacks,
) -> CellRecord:
    """Write the final record. A cell whose checkpoint failed in its first step runs again from step 0 before that."""
    if machine.config.save_model and isinstance(done, TrainingResult) and done.state in SUCCESS_STATES:
        weights = done.get_weights()
        if weights is not None:
            atomic_write(store.cell_file(prepared.cell.id, MODEL_FILE), partial(write_weights, weights))
    if not isinstance(done, ResumeError):
        return _write_end_record(store, prepared, started, done, machine.registry)
    prepared.checkpoint.refuse(done)
    prepared.checkpoint.remove()
    if machine.rank_context is not None and machine.rank_context.member.has_left:
        error = ProcessLostError(f"the next run starts this cell at step 0: {done}")
        return _write_end_record(store, prepared, started, error, machine.registry)
    prepared.resumed = None
    return _run_batch([prepared], store, machine, watcher)[0]


def _train(
    group: Sequence[_PreparedCell], machine: ExecutionContext, watcher: CellCallbacks
) -> list[TrainingResult | Exception]:
    jobs = [
        CellJob(
            prepared.cell.id,
            prepared.resolved,
            partial(watcher.on_progress, prepared.cell.id),
            prepared.checkpoint,
            prepared.resumed,
        )
        for prepared in group
    ]
    data = machine.load(group[0].cell.config.dataset)
    if machine.rank_context is not None:
        return [run_as_rank_zero(job, data, machine.rank_context, watcher.should_stop) for job in jobs]
    return train_cells(jobs, data, ENGINES[machine.config.engine], watcher.should_stop)


def _write_start_record(
    prepared: _PreparedCell, store: ResultsFolder, machine: ExecutionContext, num_batched: int
) -> CellRecord:
    cell = prepared.cell
    before = store.read_record(cell.id)
    execution = machine.execution_metadata
    record = CellRecord(
        id=cell.id,
        state="interrupted",
        label=cell.label,
        attempts=(before.attempts if before else 0) + 1,
        resumed_at_step=prepared.completed_steps,
        started=_now(),
        process=RunProcess(host=platform.node(), pid=os.getpid()),
        config=cell.config,
        resolved=_numbers(prepared.resolved),
        seeds=dict(prepared.resolved.seeds),
        code=code_hashes(cell.config, machine.registry),
        environment=environment(machine.config.device),
        engine=execution.engine,
        processes=execution.processes,
        mean=execution.mean,
        together=num_batched,
    )
    store.write_record(record)
    return record


def _numbers(resolved: ResolvedCell) -> dict[str, int | float]:
    try:
        return resolved.numbers()
    except Exception:
        # a strategy may refuse the numbers of the cell; it raises the same error again when the cell is trained
        return {}


def _write_end_record(
    store: ResultsFolder,
    prepared: _PreparedCell,
    started: CellRecord,
    done: TrainingResult | Exception,
    registry: Registry,
) -> CellRecord:
    """Write tables and final record; the checkpoint is removed after them, and only if there is a result."""
    cell = prepared.cell
    if isinstance(done, TrainingResult):
        outcome: dict[str, object] = {"state": done.state, "steps": done.steps, "wall_s": done.wall_s}
    else:
        text = "".join(traceback.format_exception(done))
        outcome = {"state": _state_after(done), "error": text, **_plugin_location(done, cell, registry)}
    if prepared.remarks:
        outcome["remarks"] = prepared.remarks
    if isinstance(done, TrainingResult) and done.state in SUCCESS_STATES:
        store.write_tables(cell.id, done.tables, cell.canonical_json)
    closed = started.with_changes({**outcome, "ended": _now()})
    store.write_record(closed)
    if closed.has_result:
        prepared.checkpoint.remove()
    return closed


def _plugin_location(error: Exception, cell: Cell, registry: Registry) -> dict[str, str]:
    """The file and line of a plug-in that raised the error; only the file if a value that it returned was the cause."""
    plugins = [registry.find_plugin(role, name) for role, name in components_used(cell.config, registry)]
    paths = {str(plugin.origin.path) for plugin in plugins if plugin is not None}
    lines = [
        f"{entry.filename}:{entry.lineno}"
        for entry in traceback.extract_tb(error.__traceback__)
        if entry.filename in paths
    ]
    return {"plugin": lines[-1] if lines else ", ".join(sorted(paths))} if paths else {}


def _state_after(error: Exception) -> str:
    """The state of a cell after an error of its strategy, its data set or torch."""
    if isinstance(error, ProcessLostError):
        return "lost"
    return "oom" if isinstance(error, MemoryError | torch.OutOfMemoryError) else "failed"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
