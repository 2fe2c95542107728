"""Cells from start to end, in this process: configurations in, tables out."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import OutOfMemoryError

from fdabench.catalogue.kinds import BUILT_IN, Catalogue
from fdabench.datasets.base import Data
from fdabench.engine.loop import Course, Moment, Stand, run
from fdabench.engine.sequential import Sequential
from fdabench.engine.team import ALONE, Team
from fdabench.engine.workers import Engine, Workers
from fdabench.errors import CutOffError, LockstepError
from fdabench.results.store import Rows
from fdabench.run.pack import UnstorableError
from fdabench.run.recorder import Progress, Recorder
from fdabench.run.setting import Config, Setting, make_setting, make_training
from fdabench.run.snapshot import NOBODY, Keeper, SharedWishes, Snapshot, Wishes, part, whole


@dataclass(frozen=True)
class Job:
    """A cell to simulate, whom to tell how far it is, who keeps it, and where it goes on from."""

    cell_id: str
    config: Config
    tell: Callable[[Progress], None] = lambda progress: None
    keeper: Keeper = NOBODY
    resumed: Snapshot | None = None


class Simulated(NamedTuple):
    """What a cell left: its state, how many steps it made, seconds of training and evaluation, and its tables."""

    state: str
    steps: int
    wall_s: float
    tables: dict[str, Rows]


class NotResumedError(Exception):
    """A cell could not make a step from the state that it was to go on from."""


class _Cell(NamedTuple):
    """A cell under way; `errors` gets what it raises."""

    job: Job
    setting: Setting
    recorder: Recorder
    wishes: Wishes | SharedWishes
    errors: list[Exception]

    def course(self) -> Course:
        setting = self.setting
        resumed = setting.team.told(lambda: self.job.resumed)
        if resumed is not None:
            setting.channel.ledger.go_on_from(resumed.stand.step, resumed.entries)
            self.recorder.go_on_from(resumed.notes)
        return Course(
            setting.strategy,
            setting.channel,
            setting.budget,
            self._sees,
            self.errors.append,
            self._passed,
            part(resumed, setting.team).stand if resumed else None,
        )

    def _sees(self, moment: Moment) -> bool:
        self.setting.channel.about("synchronises" if moment.outcome.synced else "goes on without a sync")
        return self.recorder.sees(moment)

    def _passed(self, stand: Callable[[], Stand]) -> None:
        state = self.recorder.state
        if state == "interrupted" or (state == "done" and self.wishes.keep()):
            notes = self.recorder.notes()
            try:
                of_all = whole(stand(), self.setting.team)
            except UnstorableError as error:
                # in every process alike, before anything crosses
                self.job.keeper.give_up(error)
                return
            if of_all is not None:
                self.job.keeper.save(Snapshot(of_all, self.setting.channel.ledger.entries, notes))

    def outcome(self) -> Simulated | Exception:
        recorder, ledger = self.recorder, self.setting.channel.ledger
        if self.errors:
            return self._told_apart(self.errors[0], ledger.step)
        tables: dict[str, Rows] = {
            "evals": recorder.evals,
            "ledger": [asdict(entry) for entry in ledger.entries],
            "rounds": recorder.rounds,
            "trace": recorder.trace,
            "partition": partition_rows(self.setting),
        }
        if self.setting.wire is not None:
            tables["wire"] = [asdict(row) for row in self.setting.wire.of_all()]
        return Simulated(recorder.state, ledger.step, recorder.wall_s, tables)

    def _told_apart(self, error: Exception, step: int) -> Exception:
        """What went wrong at the first step from a stored state is that state's fault, as far as one knows."""
        resumed = self.job.resumed
        innocent = isinstance(error, MemoryError | OutOfMemoryError | CutOffError | LockstepError)
        if resumed is None or innocent or step > resumed.stand.step + 1:
            return error
        unusable = NotResumedError(f"the first step from it ends in {type(error).__name__}: {error}")
        unusable.__cause__ = error
        return unusable


def simulate(
    jobs: Sequence[Job],
    data: Data,
    engine: Engine = Sequential,
    stop_asked: Callable[[], bool] = lambda: False,
    catalogue: Catalogue = BUILT_IN,
    team: Team = ALONE,
) -> list[Simulated | Exception]:
    """Run cells with the same `matrix_of`, all as far, side by side; for each, what it left or what it raised.

    Every process of a team calls this with the same configurations; where a cell goes on from is known to rank 0.

    Raises:
        TaskError, PartitionError: as `make_setting`.
    """
    settings = [make_setting(job.config, data, catalogue, team) for job in jobs]
    training = make_training(jobs[0].config, settings[0], engine, catalogue)
    workers = Workers(training, [setting.crew for setting in settings])
    cells = [_cell(job, setting, stop_asked) for job, setting in zip(jobs, settings, strict=True)]
    try:
        run(workers, [cell.course() for cell in cells])
    except Exception as error:
        # what the engine or an optimizer raises; of several cells nobody knows which it was
        if len(cells) > 1:
            raise
        cells[0].errors.append(error)
    return [cell.outcome() for cell in cells]


def _cell(job: Job, setting: Setting, stop_asked: Callable[[], bool]) -> _Cell:
    alone = Wishes(stop_asked, job.keeper.due)
    wishes = alone if setting.team.size == 1 else SharedWishes(alone, setting.team)
    return _Cell(job, setting, Recorder(setting, job.config, job.cell_id, job.tell, wishes.stop), wishes, [])


def partition_rows(setting: Setting) -> list[dict[str, Any]]:
    """How many samples of each class each worker holds."""
    labels = setting.data.train_y.numpy(force=True)
    return [
        {"worker": worker, "label": label, "samples": int(samples)}
        for worker, shard in enumerate(setting.shards)
        for label, samples in enumerate(np.bincount(labels[shard], minlength=setting.data.classes))
    ]
