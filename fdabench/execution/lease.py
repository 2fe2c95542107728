"""Which process works on a cell, where several may.

A lease is a lock of the system, which takes it back when its process ends, however it ends: no cell is done twice, and
none is left because somebody was killed. Beside it stands who holds it, in a file that is touched now and then: where
locks are not seen by other hosts, a holder on another one counts as alive until it has not been heard of for a while.
"""

import os
import platform
from collections.abc import Iterable
from contextlib import suppress

from filelock import FileLock, Timeout

from fdabench.errors import ResultError
from fdabench.regular_files import check_regular
from fdabench.results.files import read_json, remove, write_json
from fdabench.results.folder import ResultsFolder

REFRESH_INTERVAL_S = 20.0
EXPIRY_S = 120.0
"""A holder on another host that was not heard of for so long is gone."""


class Lease:
    """For one cell; whoever has taken it is the only one to write into the cell's folder.

    Raises:
        ResultError: a link leads out of the results folder.
    """

    def __init__(self, store: ResultsFolder, cell_id: str) -> None:
        self._path, self._holder = (store.safe_path(".leases", f"{cell_id}.{kind}") for kind in ("lock", "json"))
        self._lock = FileLock(self._path, blocking=False)

    def acquire(self) -> bool:
        """Whether it is ours now.

        Raises:
            ResultError: the results folder cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            check_regular(self._path)
            self._lock.acquire()
        except Timeout:
            return False
        except OSError as error:
            raise ResultError(f"{self._path}: cannot be written: {error.strerror}") from error
        if self._is_held_elsewhere():
            self._lock.release()
            return False
        write_json(self._holder, {"host": platform.node(), "pid": os.getpid()})
        return True

    def refresh(self) -> None:
        """Say that its holder is alive."""
        with suppress(OSError):
            os.utime(self._holder)

    def release(self) -> None:
        with suppress(OSError):
            self._holder.unlink()
        self._lock.release()

    def _is_held_elsewhere(self) -> bool:
        """Only where the lock is not seen by another host, or that host died a moment ago."""
        try:
            if read_json(self._holder).get("host") == platform.node():
                return False
            # both times are those of the file system's clock
            os.utime(self._path)
            return self._path.stat().st_mtime - self._holder.stat().st_mtime < EXPIRY_S
        except (ResultError, OSError):
            return False


def discard_checkpoints(cell_ids: Iterable[str], store: ResultsFolder) -> None:
    """Of cells that are done, or to begin anew, but for those that somebody is working on.

    Raises:
        ResultError: the results folder cannot be written.
    """
    for cell_id in cell_ids:
        lease = Lease(store, cell_id)
        if store.checkpoint_path(cell_id).exists() and lease.acquire():
            try:
                remove(store.checkpoint_path(cell_id))
            finally:
                lease.release()
