"""One cell in its folder: the record before and after, the tables in between, and what to do when it fails."""

import os
import platform
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch

from fdabench.results.store import Record, Store
from fdabench.run.closure import code_of
from fdabench.run.environment import environment
from fdabench.run.recorder import Progress
from fdabench.run.setting import resolved, seeds_of
from fdabench.run.simulate import simulate
from fdabench.suite.cell import Cell


def run_cell(
    cell: Cell,
    store: Store,
    data_root: Path,
    device: torch.device,
    tell: Callable[[Progress], None],
    stop_asked: Callable[[], bool],
) -> Record:
    """Run it and leave its folder complete; what goes wrong inside becomes a record, never an exception.

    The record says `interrupted` from the start, which stays true if nothing follows.
    """
    record = _opening(cell, store, device)
    store.write_record(cell.id, record)
    try:
        # a strategy may refuse what the cell's numbers come to
        record["resolved"] = resolved(cell.config)
        store.write_record(cell.id, record)
        done = simulate(cell.config, cell.id, data_root, device, tell, stop_asked)
    except (MemoryError, torch.OutOfMemoryError):
        return _close(store, record, {"state": "oom", "error": traceback.format_exc()})
    except Exception:
        # whatever a strategy, a data set or torch raises is this cell's failure, not the suite's
        return _close(store, record, {"state": "failed", "error": traceback.format_exc()})
    if done.state == "interrupted":
        return record
    store.write_tables(cell.id, done.tables, cell.canonical)
    return _close(store, record, {"state": done.state, "steps": done.steps, "wall_s": done.wall_s})


def _opening(cell: Cell, store: Store, device: torch.device) -> Record:
    before = store.read_record(cell.id)
    return {
        "id": cell.id,
        "state": "interrupted",
        "label": cell.label,
        "attempts": (before["attempts"] if before else 0) + 1,
        "started": _now(),
        "process": {"host": platform.node(), "pid": os.getpid()},
        "config": cell.config,
        "seeds": seeds_of(cell.config),
        "code": code_of(cell.config),
        "environment": environment(device),
    }


def _close(store: Store, record: Record, outcome: Record) -> Record:
    closed = {**record, **outcome, "ended": _now()}
    store.write_record(record["id"], closed)
    return closed


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
