"""Leases: which process runs a cell, where several runs share a results folder.

A lease is a file lock, which the operating system releases when its process ends in any way. So no cell is run twice,
and none stays locked after a kill. A file beside the lock names the holder and is touched every `REFRESH_INTERVAL_S`
seconds. Where other hosts do not see the lock, a holder on another host counts as alive until that file is `EXPIRY_S`
seconds old.
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
"""Seconds after which a holder on another host counts as dead."""


class Lease:
    """The lease of one cell. Only its holder writes into the folder of the cell.

    Raises:
        ResultError: a link leads out of the results folder.
    """

    def __init__(self, store: ResultsFolder, cell_id: str) -> None:
        self._path, self._holder = (store.safe_path(".leases", f"{cell_id}.{kind}") for kind in ("lock", "json"))
        self._lock = FileLock(self._path, blocking=False)

    def acquire(self) -> bool:
        """Try to acquire the lease; does not wait.

        Returns:
            Whether this process holds it now.

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
        """Touch the file whose modification time shows other hosts that the holder is alive."""
        with suppress(OSError):
            os.utime(self._holder)

    def release(self) -> None:
        """Release the lease, so that another process can acquire it."""
        with suppress(OSError):
            self._holder.unlink()
        self._lock.release()

    def _is_held_elsewhere(self) -> bool:
        """Whether a process of another host holds the lease, although the lock could be acquired here."""
        try:
            if read_json(self._holder).get("host") == platform.node():
                return False
            # compares two times of the clock of the file system
            os.utime(self._path)
            return self._path.stat().st_mtime - self._holder.stat().st_mtime < EXPIRY_S
        except (ResultError, OSError):
            return False


def discard_checkpoints(cell_ids: Iterable[str], store: ResultsFolder) -> None:
    """Remove the checkpoints of these cells, unless another process runs the cell.

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
