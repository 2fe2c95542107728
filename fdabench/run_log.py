"""The log of a run: `run.log` in the results folder, which every process of the run appends to.

Modules log to `logging.getLogger(__name__)`, below the logger `fdabench`. A program that imports fdabench sees nothing
of it unless it configures logging. `fdabench run` and `api.run_suite` write records of level INFO and above to the
file, and `fdabench run -v` prints what all processes write there. A record about a cell has its id:
`logger.info("resumed from step %d", step, extra={"cell": cell_id})`.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fdabench.regular_files import NotRegularError, check_regular

FILE_NAME = "run.log"
MAX_BYTES = 5_000_000
"""A longer file is renamed to `run.log.1` when a run starts; of two such files the older is lost."""
_FORMAT = "%(asctime)s %(levelname)-7s pid=%(process)d rank=%(rank)s cell=%(cell)s %(name)s: %(message)s"


class _RunLogHandler(logging.FileHandler):
    """Appends to the file. A disk without room costs the records, not the run."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


class _OneLineFormatter(logging.Formatter):
    """One line for each record. Characters that a terminal would interpret are written as `\\x1b`."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def rotate(folder: Path) -> None:
    """Rename a log that has become too long. Called once, before the first process of a run opens it.

    Args:
        folder: the results folder.
    """
    path = folder / FILE_NAME
    try:
        if os.lstat(path).st_size > MAX_BYTES:
            os.replace(path, path.with_name(f"{FILE_NAME}.1"))
    except OSError:
        # there is none, or the folder cannot be written: the run reports that when it writes results
        return


class LogFollower:
    """Reads the lines that the processes of a run append to its log, as `tail -f` does.

    Lines that the file already has are not read.

    Args:
        folder: the results folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._rest = folder / FILE_NAME, b""
        self._offset = self._path.stat().st_size if self._path.is_file() and not self._path.is_symlink() else 0

    def new_lines(self) -> list[str]:
        """Return the complete lines that were appended since the last call; none if the file cannot be read."""
        try:
            if self._path.is_symlink():
                return []
            with self._path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except OSError:
            return []
        self._offset += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        return [line.decode(errors="replace") for line in lines]


@contextmanager
def run_log(folder: Path | None, rank: int = 0) -> Iterator[None]:
    """Append the records of this process to the log of a run.

    Nothing is logged to a file that cannot be opened or is no regular file: a run does not depend on its log.

    Args:
        folder: the results folder; None for a process that has none.
        rank: of this process among those that hold the workers of a cell.
    """
    handler = None if folder is None else _open(folder / FILE_NAME, rank)
    if handler is None:
        yield
        return
    logger, level = logging.getLogger("fdabench"), logging.getLogger("fdabench").level
    logger.addHandler(handler)
    logger.setLevel(min(level or logging.INFO, logging.INFO))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


def _open(path: Path, rank: int) -> logging.Handler | None:
    try:
        if path.is_symlink():
            # whoever sent a results folder would choose what is written to
            return None
        check_regular(path)
        handler = _RunLogHandler(path, encoding="utf-8")
    except (OSError, NotRegularError):
        return None
    handler.setLevel(logging.INFO)
    handler.setFormatter(_OneLineFormatter(_FORMAT, defaults={"rank": rank, "cell": "-"}))
    return handler
