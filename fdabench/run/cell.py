"""One cell in its folder: the record before and after, the tables in between, and what to do when it fails."""

import os
import platform
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import NamedTuple

import torch

from fdabench.catalogue.kinds import BUILT_IN, Catalogue
from fdabench.catalogue.tried import failure_of
from fdabench.datasets.base import Data
from fdabench.engine.choice import ENGINES
from fdabench.errors import CutOffError
from fdabench.results.store import RESULTS, Record, Store
from fdabench.run.checkpoint import EVERY_S, Checkpoint
from fdabench.run.closure import code_of
from fdabench.run.distributed import Seat, lead
from fdabench.run.encoding import codec_for
from fdabench.run.environment import environment
from fdabench.run.recorder import Progress
from fdabench.run.setting import resolved, seeds_of
from fdabench.run.simulate import Job, NotResumedError, Simulated, simulate
from fdabench.run.snapshot import Snapshot
from fdabench.run.state_schema import check, sizes_of
from fdabench.suite.cell import Cell
from fdabench.suite.components import components

_SAME_BITS = ("torch", "numpy", "platform", "device", "capability", "blas", "threads")
"""Of the environment: what a cell has to go on with if it is to go on to the same last bit."""


class Watcher(NamedTuple):
    """Who follows a cell: told how far it is, asked whether to stop, told what is not as it should be."""

    tell: Callable[[str, Progress], None] = lambda cell_id, progress: None
    stop_asked: Callable[[], bool] = lambda: False
    remark: Callable[[str, str], None] = lambda cell_id, text: None


@dataclass(frozen=True)
class Machine:
    """What cells run on. `load` gives a data set by name, on the device."""

    device: torch.device
    engine: str
    load: Callable[[str], Data]
    checkpoint_s: float = EVERY_S
    """Seconds between checkpoints, at least."""
    catalogue: Catalogue = BUILT_IN
    seat: Seat | None = None
    """Among the processes that hold the workers; without one, this process holds them all."""

    @property
    def shape(self) -> dict[str, str | int]:
        """How the workers are held and averaged."""
        if self.seat is None:
            return {"engine": self.engine, "processes": 1, "mean": "ordered"}
        return {"engine": "distributed", "processes": self.seat.member.size, "mean": self.seat.mean}


@dataclass
class _Begun:
    """A cell that is about to run, from where its last checkpoint left it."""

    cell: Cell
    checkpoint: Checkpoint
    remarks: list[str]
    resumed: Snapshot | None
    record: Record = field(default_factory=dict)

    @property
    def made(self) -> int:
        """Local steps that lie behind."""
        return self.resumed.stand.step if self.resumed else 0


def run_together(cells: Sequence[Cell], store: Store, machine: Machine, watcher: Watcher) -> list[Record]:
    """Run cells side by side and leave their folders complete; what goes wrong becomes a record, never an exception.

    A record says `interrupted` from the start, which stays true if nothing follows. A cell with a checkpoint goes on
    from there, with those that are as far. Cells that do not fit into memory together are run one by one.
    """
    begun = sorted((_begun(cell, store, machine, watcher) for cell in cells), key=lambda each: each.made)
    records = {}
    for _, group in groupby(begun, key=lambda each: each.made):
        for record in _run_alike(list(group), store, machine, watcher):
            records[record["id"]] = record
    return [records[cell.id] for cell in cells]


def _begun(cell: Cell, store: Store, machine: Machine, watcher: Watcher) -> _Begun:
    remarks: list[str] = []
    store.tidy(cell.id)

    def remark(text: str) -> None:
        remarks.append(text)
        watcher.remark(cell.id, text)

    about = {"cell": cell.id, "code": code_of(cell.config, machine.catalogue), "engine": machine.engine}
    if machine.shape["mean"] != "ordered":
        about["sums"] = machine.shape
    about |= {key: environment(machine.device)[key] for key in _SAME_BITS}
    checkpoint = Checkpoint(
        store.checkpoint_path(cell.id),
        about,
        codec_for(cell.config, machine.catalogue, machine.device),
        lambda state: check(state, sizes_of(cell.id, cell.config, machine.catalogue)),
        remark,
        machine.checkpoint_s,
    )
    return _Begun(cell, checkpoint, remarks, checkpoint.read())


def _run_alike(group: Sequence[_Begun], store: Store, machine: Machine, watcher: Watcher) -> list[Record]:
    for each in group:
        each.record = _open(each, store, machine, len(group))
    try:
        outcomes = _simulated(group, machine, watcher)
    except BaseException as error:
        failure = failure_of(error, machine.catalogue)
        if failure is None:
            raise
        if len(group) > 1:
            return [record for each in group for record in run_together([each.cell], store, machine, watcher)]
        outcomes = [failure]
    return [_closed(each, done, store, machine, watcher) for each, done in zip(group, outcomes, strict=True)]


def _closed(begun: _Begun, done: Simulated | Exception, store: Store, machine: Machine, watcher: Watcher) -> Record:
    """The record of how it ended, or of how it did from its beginning where its checkpoint was none to go on from."""
    if not isinstance(done, NotResumedError):
        return _close(store, begun, done, machine.catalogue)
    begun.checkpoint.refuse(done)
    begun.checkpoint.remove()
    if machine.seat is not None and machine.seat.member.over:
        return _close(store, begun, CutOffError(f"the next run begins it anew: {done}"), machine.catalogue)
    begun.resumed = None
    return _run_alike([begun], store, machine, watcher)[0]


def _simulated(group: Sequence[_Begun], machine: Machine, watcher: Watcher) -> list[Simulated | Exception]:
    jobs = [
        Job(each.cell.id, each.cell.config, partial(watcher.tell, each.cell.id), each.checkpoint, each.resumed)
        for each in group
    ]
    data = machine.load(group[0].cell.config["dataset"])
    if machine.seat is not None:
        return [lead(job, data, machine.seat, watcher.stop_asked) for job in jobs]
    return simulate(jobs, data, ENGINES[machine.engine], watcher.stop_asked, machine.catalogue)


def _open(begun: _Begun, store: Store, machine: Machine, together: int) -> Record:
    cell = begun.cell
    before = store.read_record(cell.id)
    record = {
        "id": cell.id,
        "state": "interrupted",
        "label": cell.label,
        "attempts": (before["attempts"] if before else 0) + 1,
        "resumed_at_step": begun.made,
        "started": _now(),
        "process": {"host": platform.node(), "pid": os.getpid()},
        "config": cell.config,
        "resolved": _resolved(cell, machine.catalogue),
        "seeds": seeds_of(cell.config),
        "code": code_of(cell.config, machine.catalogue),
        "environment": environment(machine.device),
        **machine.shape,
        "together": together,
    }
    store.write_record(cell.id, record)
    return record


def _resolved(cell: Cell, catalogue: Catalogue) -> Record:
    try:
        return resolved(cell.config, catalogue)
    except Exception:
        # a strategy may refuse what the cell's numbers come to; it says so again when it is run
        return {}


def _close(store: Store, begun: _Begun, done: Simulated | Exception, catalogue: Catalogue) -> Record:
    """The record of how it ended; the checkpoint stays until there is a result, which is written before it goes."""
    cell = begun.cell
    if isinstance(done, Simulated):
        outcome = {"state": done.state, "steps": done.steps, "wall_s": done.wall_s}
    else:
        text = "".join(traceback.format_exception(done))
        outcome = {"state": _state_after(done), "error": text, **_blamed(done, cell, catalogue)}
    if begun.remarks:
        outcome["remarks"] = begun.remarks
    if isinstance(done, Simulated) and done.state in RESULTS:
        store.write_tables(cell.id, done.tables, cell.canonical)
    closed = {**begun.record, **outcome, "ended": _now()}
    store.write_record(cell.id, closed)
    if closed["state"] in RESULTS:
        begun.checkpoint.remove()
    return closed


def _blamed(error: Exception, cell: Cell, catalogue: Catalogue) -> Record:
    """The user's file and line where it was raised; the file alone where what it returned led to it."""
    plugins = [catalogue.plugin_of(role, name) for role, name in components(cell.config, catalogue)]
    paths = {str(plugin.origin.path) for plugin in plugins if plugin is not None}
    lines = [
        f"{each.filename}:{each.lineno}" for each in traceback.extract_tb(error.__traceback__) if each.filename in paths
    ]
    return {"plugin": lines[-1] if lines else ", ".join(sorted(paths))} if paths else {}


def _state_after(error: Exception) -> str:
    """Whatever a strategy, a data set or torch raises is this cell's failure, not the suite's."""
    if isinstance(error, CutOffError):
        return "lost"
    return "oom" if isinstance(error, MemoryError | torch.OutOfMemoryError) else "failed"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
