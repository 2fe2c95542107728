"""Opens files that fdabench may not have written: regular files only, because opening a pipe may block forever."""

import os
from errno import EINVAL
from io import BufferedReader
from pathlib import Path
from stat import S_ISBLK, S_ISCHR, S_ISDIR, S_ISFIFO, S_ISREG, S_ISSOCK

_KINDS = {
    S_ISDIR: "a folder",
    S_ISFIFO: "a pipe",
    S_ISSOCK: "a socket",
    S_ISCHR: "a device",
    S_ISBLK: "a device",
}


class NotRegularError(OSError):
    """A path is a folder, a pipe, a socket or a device; `strerror` says which."""


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading. Links are followed. The call neither reads from a pipe or a device nor blocks on one.

    Raises:
        NotRegularError: it is no regular file.
        OSError: it cannot be opened.
    """
    # without O_NONBLOCK, opening a pipe blocks until a process opens it for writing
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        # a socket, or a pipe without read permission: report its kind instead, if it can be determined
        check_regular(path)
        raise
    try:
        _check(path, os.fstat(handle).st_mode)
        return open(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: Path) -> bytes:
    """All of a regular file.

    Raises:
        NotRegularError: it is no regular file.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        return file.read()


def check_regular(path: Path) -> None:
    """Check that a path is a regular file or does not exist, before a library opens it.

    Raises:
        NotRegularError: something else is there.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    _check(path, mode)


def _check(path: Path, mode: int) -> None:
    if not S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS.items() if is_kind(mode)), "something else")
        raise NotRegularError(EINVAL, f"it is no file, but {kind}", str(path))
