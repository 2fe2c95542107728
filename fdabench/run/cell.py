"""One cell in its folder: the record before and after, the tables in between, and what to do when it fails."""

import os
import platform
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import torch

from fdabench.datasets.base import Data
from fdabench.engine.choice import ENGINES
from fdabench.results.store import Record, Store
from fdabench.run.closure import code_of
from fdabench.run.environment import environment
from fdabench.run.recorder import Progress
from fdabench.run.setting import resolved, seeds_of
from fdabench.run.simulate import Job, Simulated, simulate
from fdabench.suite.cell import Cell


class Watcher(NamedTuple):
    """Who follows a cell: told how far it is, asked whether to stop."""

    tell: Callable[[str, Progress], None] = lambda cell_id, progress: None
    stop_asked: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Machine:
    """What cells run on. `load` gives a data set by name, on the device."""

    device: torch.device
    engine: str
    load: Callable[[str], Data]


def run_together(cells: Sequence[Cell], store: Store, machine: Machine, watcher: Watcher) -> list[Record]:
    """Run cells side by side and leave their folders complete; what goes wrong becomes a record, never an exception.

    A record says `interrupted` from the start, which stays true if nothing follows. Cells that do not fit into memory
    together are run one by one.
    """
    records = [_open(cell, store, machine, len(cells)) for cell in cells]
    try:
        outcomes = _simulated(cells, machine, watcher)
    except Exception as error:
        if len(cells) > 1:
            return [record for cell in cells for record in run_together([cell], store, machine, watcher)]
        outcomes = [error]
    return [_close(store, cell, record, done) for cell, record, done in zip(cells, records, outcomes, strict=True)]


def _simulated(cells: Sequence[Cell], machine: Machine, watcher: Watcher) -> list[Simulated | Exception]:
    jobs = [Job(cell.id, cell.config, partial(watcher.tell, cell.id)) for cell in cells]
    data = machine.load(cells[0].config["dataset"])
    return simulate(jobs, data, ENGINES[machine.engine], watcher.stop_asked)


def _open(cell: Cell, store: Store, machine: Machine, together: int) -> Record:
    before = store.read_record(cell.id)
    record = {
        "id": cell.id,
        "state": "interrupted",
        "label": cell.label,
        "attempts": (before["attempts"] if before else 0) + 1,
        "started": _now(),
        "process": {"host": platform.node(), "pid": os.getpid()},
        "config": cell.config,
        "resolved": _resolved(cell),
        "seeds": seeds_of(cell.config),
        "code": code_of(cell.config),
        "environment": environment(machine.device),
        "engine": machine.engine,
        "together": together,
    }
    store.write_record(cell.id, record)
    return record


def _resolved(cell: Cell) -> Record:
    try:
        return resolved(cell.config)
    except Exception:
        # a strategy may refuse what the cell's numbers come to; it says so again when it is run
        return {}


def _close(store: Store, cell: Cell, record: Record, done: Simulated | Exception) -> Record:
    if isinstance(done, Simulated) and done.state == "interrupted":
        return record
    if isinstance(done, Simulated):
        store.write_tables(cell.id, done.tables, cell.canonical)
        outcome = {"state": done.state, "steps": done.steps, "wall_s": done.wall_s}
    else:
        outcome = {"state": _state_after(done), "error": "".join(traceback.format_exception(done))}
    closed = {**record, **outcome, "ended": _now()}
    store.write_record(record["id"], closed)
    return closed


def _state_after(error: Exception) -> str:
    """Whatever a strategy, a data set or torch raises is this cell's failure, not the suite's."""
    return "oom" if isinstance(error, MemoryError | torch.OutOfMemoryError) else "failed"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
