"""The state of a cell from its record, and whether a process is running it."""

import os
import platform
from contextlib import suppress
from time import time

from fdabench.execution.lease import EXPIRY_S
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder

RUNNING = "running"
MOST_LETTERS = 200
"""Characters of an error message that are printed at most."""


def live_state(store: ResultsFolder, cell_id: str, record: CellRecord | None) -> str:
    """Return the state in the record, `pending` without a record, or `running` while a process runs the cell.

    The record of a running cell has the state `interrupted`. For a process on this host, the operating system reports
    whether it is alive. For one on another host, the cell counts as running while its lease is touched.

    Args:
        store: the results folder.
        cell_id: the id of the cell.
        record: the record of the cell; None if it was never run.
    """
    if record is None:
        return "pending"
    if record.state != "interrupted" or record.process is None:
        return record.state
    is_local = record.process.host == platform.node()
    is_running = _process_exists(record.process.pid) if is_local else _lease_is_fresh(store, cell_id)
    return RUNNING if is_running else "interrupted"


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _lease_is_fresh(store: ResultsFolder, cell_id: str) -> bool:
    """Whether the lease of the cell was touched in the last `EXPIRY_S` seconds."""
    with suppress(OSError):
        return time() - store.safe_path(".leases", f"{cell_id}.json").stat().st_mtime < EXPIRY_S
    return False


def describe_cause(record: CellRecord) -> str:
    """Return the last line of the traceback of a failed cell, truncated to `MOST_LETTERS` characters.

    If a plug-in raised the error, its file and line are in front.
    """
    last = record.error.strip().splitlines()[-1:] or [""]
    text = "".join(character if character.isprintable() else " " for character in last[0])
    excerpt = text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}..."
    return f"{record.plugin}: {excerpt}" if record.plugin else excerpt
