"""The state of a cell as its record says it, and whether somebody is at it."""

import os
import platform
from contextlib import suppress
from time import time

from fdabench.execution.lease import EXPIRY_S
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder

RUNNING = "running"
MOST_LETTERS = 200


def live_state(store: ResultsFolder, cell_id: str, record: CellRecord | None) -> str:
    """What its record says; `running` where that is `interrupted` and its process is alive.

    On this machine the system says whether it is; of another host, the lease that its holder touches.
    """
    if record is None:
        return "pending"
    if record.state != "interrupted" or record.process is None:
        return record.state
    here = record.process.host == platform.node()
    at_it = _alive(record.process.pid) if here else _touched(store, cell_id)
    return RUNNING if at_it else "interrupted"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _touched(store: ResultsFolder, cell_id: str) -> bool:
    with suppress(OSError):
        return time() - store.safe_path(".leases", f"{cell_id}.json").stat().st_mtime < EXPIRY_S
    return False


def describe_cause(record: CellRecord) -> str:
    """Of a failure: the traceback's last line, cut off where it is long; in front a plug-in's file and line."""
    last = record.error.strip().splitlines()[-1:] or [""]
    text = "".join(letter if letter.isprintable() else " " for letter in last[0])
    shown = text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}..."
    return f"{record.plugin}: {shown}" if record.plugin else shown
