"""Attributes exceptions in a plug-in's code to the plug-in, with its file and line, instead of to fdabench."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fdabench.errors import FdabenchError, WorkloadError
from fdabench.registry.registry import Plugin, Registry

T = TypeVar("T")


def attribute_errors(plugin: Plugin, what: str, call: Callable[[], T]) -> T:
    """What `call` returns.

    Raises:
        WorkloadError: the plug-in raised anything, or calls `sys.exit`; `what` it was asked for is in the message.
        FdabenchError: what the plug-in raised on purpose, as it is.
    """
    try:
        return call()
    except FdabenchError:
        raise
    except BaseException as error:
        if not is_raised_by(error, plugin.origin.path):
            raise
        raise WorkloadError(f"{location(plugin.origin.path, error)}: {what}: {format_error(error)}") from error


def is_raised_by(error: BaseException, path: Path) -> bool:
    """Whether an exception is the fault of code in `path` which we have called, and no signal's.

    Ctrl-C is never. Any other class that is no `Exception`, such as one that SIGTERM raises wherever the program is, is
    where the file itself raises it.
    """
    if isinstance(error, Exception | SystemExit):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return not isinstance(error, KeyboardInterrupt) and bool(frames) and frames[-1].filename == str(path)


def failure_of(error: BaseException, registry: Registry) -> Exception | None:
    """The failure of a cell if it or a plug-in of the registry raised `error`; None if a signal did."""
    if isinstance(error, Exception):
        return error
    if not any(is_raised_by(error, plugin.origin.path) for plugin in registry.plugins):
        return None
    raised = f"sys.exit({error.code!r})" if isinstance(error, SystemExit) else format_error(error)
    return RuntimeError(f"{raised} ends no cell").with_traceback(error.__traceback__)


def location(path: Path, error: BaseException) -> str:
    """`mine.py:28`, the last line of this file that took part; the file alone where none did."""
    line = find_user_line(error, path)
    return path.as_posix() if line is None else f"{path.as_posix()}:{line}"


def format_error(error: BaseException) -> str:
    """`ValueError: I give up`; the class and the first line of the message."""
    return f"{type(error).__name__}: {error}".splitlines()[0].removesuffix(": ")


def find_user_line(error: BaseException, path: Path) -> int | None:
    """The last line of this file that took part."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None
