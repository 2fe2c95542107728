"""Converts exceptions that a plug-in's code raises to errors that name the plug-in's file and line.

The user then gets a message instead of a traceback through fdabench.
"""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fdabench.errors import FdabenchError, WorkloadError
from fdabench.registry.registry import Plugin, Registry

T = TypeVar("T")


def attribute_errors(plugin: Plugin, what: str, call: Callable[[], T]) -> T:
    """Call a function that runs code of a plug-in, and return its result.

    Args:
        plugin: whose code runs.
        what: describes the call in the error message, such as `model 'mine'`.
        call: the function.

    Raises:
        WorkloadError: the call raised another exception than FdabenchError, or called `sys.exit`.
        FdabenchError: as the call raised it.
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
    """Whether the code in `path`, which fdabench called, caused an exception, and not a signal.

    An `Exception` or `SystemExit` is always attributed to the code, a `KeyboardInterrupt` never. A handler of SIGTERM
    can raise any other `BaseException` at an arbitrary point of the program, so such an exception is attributed to the
    code only if a line of the file raised it.
    """
    if isinstance(error, Exception | SystemExit):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return not isinstance(error, KeyboardInterrupt) and bool(frames) and frames[-1].filename == str(path)


def failure_of(error: BaseException, registry: Registry) -> Exception | None:
    """The exception to record as the failure of a cell; None if a signal caused `error`.

    Args:
        error: raised while the cell ran.
        registry: contains the plug-ins whose code may have raised it.

    Returns:
        `error` itself if it is an `Exception`. If a plug-in called `sys.exit` or raised another `BaseException`, a
        RuntimeError with its traceback.
    """
    if isinstance(error, Exception):
        return error
    if not any(is_raised_by(error, plugin.origin.path) for plugin in registry.plugins):
        return None
    raised = f"sys.exit({error.code!r})" if isinstance(error, SystemExit) else format_error(error)
    return RuntimeError(f"{raised} ends no cell").with_traceback(error.__traceback__)


def location(path: Path, error: BaseException) -> str:
    """The innermost line of a file in the traceback, such as `mine.py:28`; the file alone if it has no line there."""
    line = find_user_line(error, path)
    return path.as_posix() if line is None else f"{path.as_posix()}:{line}"


def format_error(error: BaseException) -> str:
    """The class and the first line of the message, such as `ValueError: theta is negative`.

    >>> format_error(ValueError("theta is negative"))
    'ValueError: theta is negative'
    >>> format_error(RuntimeError())
    'RuntimeError'
    """
    return f"{type(error).__name__}: {error}".splitlines()[0].removesuffix(": ")


def find_user_line(error: BaseException, path: Path) -> int | None:
    """The number of the innermost line of a file in the traceback of an exception; None if it has no line there."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None
