"""Cells from start to end, in this process: configurations in, tables out."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from fdabench.datasets.base import Data
from fdabench.engine.loop import Course, run
from fdabench.engine.sequential import Sequential
from fdabench.engine.workers import Engine, Workers
from fdabench.results.store import Rows
from fdabench.run.recorder import Progress, Recorder
from fdabench.run.setting import Config, Setting, make_setting, make_training


@dataclass(frozen=True)
class Job:
    """A cell to simulate, and whom to tell how far it is."""

    cell_id: str
    config: Config
    tell: Callable[[Progress], None] = lambda progress: None


class Simulated(NamedTuple):
    """What a cell left: its state, how many steps it made, seconds of training and evaluation, and its tables."""

    state: str
    steps: int
    wall_s: float
    tables: dict[str, Rows]


class _Cell(NamedTuple):
    """A cell under way; `errors` gets what it raises."""

    setting: Setting
    recorder: Recorder
    errors: list[Exception]

    @property
    def course(self) -> Course:
        setting = self.setting
        return Course(setting.strategy, setting.channel, setting.budget, self.recorder.sees, self.errors.append)

    def outcome(self) -> Simulated | Exception:
        if self.errors:
            return self.errors[0]
        recorder, ledger = self.recorder, self.setting.channel.ledger
        tables: dict[str, Rows] = {
            "evals": recorder.evals,
            "ledger": [asdict(entry) for entry in ledger.entries],
            "rounds": recorder.rounds,
            "trace": recorder.trace,
            "partition": partition_rows(self.setting),
        }
        return Simulated(recorder.state, ledger.step, recorder.wall_s, tables)


def simulate(
    jobs: Sequence[Job], data: Data, engine: Engine = Sequential, stop_asked: Callable[[], bool] = lambda: False
) -> list[Simulated | Exception]:
    """Run cells with the same `matrix_of` side by side; for each, what it left or what it raised.

    Raises:
        TaskError, PartitionError: as `make_setting`.
    """
    settings = [make_setting(job.config, data) for job in jobs]
    workers = Workers(make_training(jobs[0].config, settings[0], engine), [setting.crew for setting in settings])
    cells = [
        _Cell(setting, Recorder(setting, job.config, job.cell_id, job.tell, stop_asked), [])
        for job, setting in zip(jobs, settings, strict=True)
    ]
    run(workers, [cell.course for cell in cells])
    return [cell.outcome() for cell in cells]


def partition_rows(setting: Setting) -> list[dict[str, Any]]:
    """How many samples of each class each worker holds."""
    labels = setting.data.train_y.numpy(force=True)
    return [
        {"worker": worker, "label": label, "samples": int(samples)}
        for worker, shard in enumerate(setting.shards)
        for label, samples in enumerate(np.bincount(labels[shard], minlength=setting.data.classes))
    ]
