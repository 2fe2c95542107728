"""`fdabench status`: how far a run is, read from its folder."""

import os
import platform
from collections import defaultdict
from pathlib import Path

from fdabench.cli.console import Table, print_table
from fdabench.results.store import FAILURES, RESULTS, TO_DO, Record, Store, taken_apart

RUNNING = "running"
MOST_NAMES = 8


def print_status(root: Path, form: str) -> None:
    """One row for each state that occurs, and one for all."""
    with taken_apart(root):
        table = _table(Store(root))
    print_table(table, form)


def _table(store: Store) -> Table:
    lock = store.read_lock()
    labels = defaultdict(list)
    for cell in lock["cell"]:
        labels[state_of(store.read_record(cell["id"]))].append(cell["label"])
    rows = [
        (state, str(len(labels[state])), _few(list(dict.fromkeys(labels[state]))))
        for state in (*RESULTS, *FAILURES, RUNNING, *TO_DO)
        if labels[state]
    ]
    return Table(("state", "cells", "which"), [*rows, ("all", str(len(lock["cell"])), lock["suite"])])


def _few(names: list[str]) -> str:
    more = [f"and {len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else []
    return ", ".join(names[:MOST_NAMES] + more)


def state_of(record: Record | None) -> str:
    """What its record says; `running` where that is `interrupted` and its process is alive on this machine."""
    if record is None:
        return "pending"
    process = record.get("process", {})
    if record["state"] == "interrupted" and process.get("host") == platform.node() and _alive(process["pid"]):
        return RUNNING
    return str(record["state"])


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
