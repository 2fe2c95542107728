"""Trains cells in this process and returns their tables.

`experiment.run_cell` and the ranks of `experiment.distributed_cell` call `train_cells`. It writes no files except
checkpoints.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from torch import OutOfMemoryError, Tensor

from fdabench.datasets.base import DatasetTensors
from fdabench.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from fdabench.engine.flatten import bind_parameters
from fdabench.engine.gradients.sequential import SequentialGradients
from fdabench.engine.loop import CellLoop, StepEvent, TrainingState, train_loop
from fdabench.engine.workers import GradientFnFactory, Workers
from fdabench.errors import ProcessLostError, RankDivergenceError
from fdabench.experiment.build import CellSetup, build_cell, build_training, sample_owners
from fdabench.experiment.checkpoint.serialize import NotSerializableError
from fdabench.experiment.checkpoint.state import (
    NO_CHECKPOINTS,
    BroadcastStepControl,
    Checkpointer,
    CheckpointState,
    StepControl,
    gather_state,
    shard_state,
)
from fdabench.experiment.recorder import Progress, Recorder
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.models.lora import merged_state
from fdabench.results.folder import TableRows


@dataclass(frozen=True)
class CellJob:
    """A cell to train, with its callbacks and the checkpoint that it resumes from."""

    cell_id: str
    cell: ResolvedCell
    on_progress: Callable[[Progress], None] = lambda progress: None
    checkpointer: Checkpointer = NO_CHECKPOINTS
    checkpoint: CheckpointState | None = None


class TrainingResult(NamedTuple):
    """The result of a cell: state, local steps, seconds of training and evaluation, tables, and the last model."""

    state: str
    steps: int
    wall_s: float
    tables: dict[str, TableRows]
    get_weights: Callable[[], dict[str, Tensor] | None] = lambda: None
    """Returns the tensors of the model of the last evaluation by name; None if no step was made."""


class ResumeError(Exception):
    """A cell failed in the first step from its checkpoint; the remedy is to run it from step 0."""


class _TrainedCell(NamedTuple):
    """A cell that is being trained; `errors` collects what it raises."""

    job: CellJob
    setting: CellSetup
    recorder: Recorder
    control: StepControl | BroadcastStepControl
    errors: list[Exception]

    def loop(self) -> CellLoop:
        """Return the training of the cell, which resumes from the checkpoint if there is one."""
        setting = self.setting
        resumed = setting.process_group.broadcast(lambda: self.job.checkpoint)
        if resumed is not None:
            setting.channel.ledger.restore(resumed.training.step, resumed.ledger)
            self.recorder.load_state_dict(resumed.recorder)
        return CellLoop(
            setting.strategy,
            setting.channel,
            setting.budget,
            self._on_step,
            self.errors.append,
            self._on_step_end,
            shard_state(resumed, setting.process_group).training if resumed else None,
            setting.clients,
            self.job.cell.sent_base,
        )

    def _on_step(self, moment: StepEvent) -> bool:
        self.setting.channel.before_collective("synchronizes" if moment.outcome.synced else "goes on without a sync")
        return self.recorder.on_step(moment)

    def _on_step_end(self, get_state: Callable[[], TrainingState]) -> None:
        state = self.recorder.state
        if state == "interrupted" or (state == "done" and self.control.should_checkpoint()):
            notes = self.recorder.state_dict()
            try:
                all_ranks = gather_state(get_state(), self.setting.process_group)
            except NotSerializableError as error:
                # all ranks raise the same error before they communicate
                self.job.checkpointer.give_up(error)
                return
            if all_ranks is not None:
                self.job.checkpointer.save(CheckpointState(all_ranks, self.setting.channel.ledger.entries, notes))

    def result(self) -> TrainingResult | Exception:
        """Return the tables of the cell after the training loop, or the error that ended it."""
        recorder, ledger = self.recorder, self.setting.channel.ledger
        if self.errors:
            return self._blame_checkpoint(self.errors[0], ledger.step)
        tables: dict[str, TableRows] = {
            "evals": recorder.evals,
            "ledger": [asdict(entry) for entry in ledger.entries],
            "rounds": recorder.rounds,
            "trace": recorder.trace,
            "partition": partition_rows(self.setting),
        }
        if self.setting.wire is not None:
            tables["traffic"] = [asdict(row) for row in self.setting.wire.gather_all_ranks()]
        return TrainingResult(recorder.state, ledger.step, recorder.wall_s, tables, self._weights)

    def _weights(self) -> dict[str, Tensor] | None:
        if self.recorder.final is None:
            return None
        model = self.setting.group.start
        bind_parameters(model, *self.recorder.final)
        return merged_state(model)

    def _blame_checkpoint(self, error: Exception, step: int) -> Exception:
        """Replace an error in the first step after a checkpoint by `ResumeError`, if the checkpoint may cause it."""
        resumed = self.job.checkpoint
        innocent = isinstance(error, MemoryError | OutOfMemoryError | ProcessLostError | RankDivergenceError)
        if resumed is None or innocent or step > resumed.training.step + 1:
            return error
        unusable = ResumeError(f"the first step from it ends in {type(error).__name__}: {error}")
        unusable.__cause__ = error
        return unusable


def train_cells(
    jobs: Sequence[CellJob],
    data: DatasetTensors,
    engine: GradientFnFactory = SequentialGradients,
    should_stop: Callable[[], bool] = lambda: False,
    process_group: ProcessGroup = SINGLE_PROCESS,
) -> list[TrainingResult | Exception]:
    """Train cells as one batch.

    Every rank of a group calls this with the same configurations; only rank 0 has the checkpoints.

    Args:
        jobs: cells with equal `batch_key` and the same number of completed steps.
        data: the data set of the cells, on the device.
        engine: computes gradients.
        should_stop: returns whether to stop at the next step.
        process_group: the processes that hold the workers.

    Returns:
        For each cell its result, or the exception that it raised.

    Raises:
        WorkloadError, PartitionError: as `build_cell`.
    """
    settings = [build_cell(job.cell, data, process_group) for job in jobs]
    training = build_training(jobs[0].cell, settings[0], engine)
    workers = Workers(training, [setting.group for setting in settings])
    cells = [_cell(job, setting, should_stop) for job, setting in zip(jobs, settings, strict=True)]
    try:
        train_loop(workers, [cell.loop() for cell in cells])
    except Exception as error:
        # an error of the engine or an optimizer; with several cells it is unknown which of them caused it
        if len(cells) > 1:
            raise
        cells[0].errors.append(error)
    return [cell.result() for cell in cells]


def _cell(job: CellJob, setting: CellSetup, should_stop: Callable[[], bool]) -> _TrainedCell:
    local = StepControl(should_stop, job.checkpointer.is_due)
    control = local if setting.process_group.size == 1 else BroadcastStepControl(local, setting.process_group)
    return _TrainedCell(
        job, setting, Recorder(setting, job.cell.config, job.cell_id, job.on_progress, control.should_stop), control, []
    )


def partition_rows(setting: CellSetup) -> list[dict[str, object]]:
    """Return the rows of the table `partition`: the number of samples of each class that each worker has.

    Of sequences, which have no class, it is the number of samples of each owner.
    """
    data = setting.data
    is_sequence = data.task == "next-token"
    labels = sample_owners(data) if is_sequence else data.train_y.numpy(force=True)
    num_labels = max(1, len(data.owner_names)) if is_sequence else data.classes
    return [
        {"worker": worker, "label": label, "samples": int(samples)}
        for worker, shard in enumerate(setting.shards)
        for label, samples in enumerate(np.bincount(labels[shard], minlength=num_labels))
    ]
