"""Converts exceptions to exit codes and messages.

An error of the user is one message. An unexpected exception is a bug in fdabench: its traceback is written to a file,
and the message has the path of the file. If the limit of the address space is too low, libraries fail or hang while
they are loaded, so the limit is checked before the command runs.
"""

import errno
import os
import shlex
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import NoReturn, ParamSpec

import typer

from fdabench import __version__
from fdabench.errors import FdabenchError, UsageError
from fdabench.results.escaping import escape_control_characters

USAGE, BUG, OUT_OF_TIME, INTERRUPTED, TERMINATED = 2, 70, 75, 130, 143
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
UNWRITABLE_ERRNOS = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM)
"""Errors of the system for a file name that the user gave, such as a name that is too long or a missing permission."""

P = ParamSpec("P")


class Terminated(BaseException):
    """Raised by SIGTERM, so that `finally` blocks run before the program ends."""


class TimeLimitReached(BaseException):
    """Raised when the time of `--max-time` is over before all cells are done. The same command continues them."""


def with_exit_codes(command: Callable[P, None]) -> Callable[P, None]:
    """Wrap a command so that it ends with one of the documented exit codes and never with a traceback."""

    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        signal.signal(signal.SIGTERM, _terminate)
        try:
            check_address_space()
            command(*args, **kwargs)
            sys.stdout.flush()
        except typer.Exit:
            raise  # the command chose the exit code
        except TimeLimitReached:
            _exit_with(f"fdabench: stopped by --max-time; to continue: {_resume_command()}", OUT_OF_TIME)
        except FdabenchError as error:
            _exit_with(f"fdabench: {error}", error.exit_code)
        except KeyboardInterrupt:
            _exit_with(f"fdabench: interrupted; to continue: {_resume_command()}", INTERRUPTED)
        except Terminated:
            _exit_with(f"fdabench: terminated; to continue: {_resume_command()}", TERMINATED)
        except BrokenPipeError:
            # not an error: the program that reads the pipe has ended, such as `head` in `fdabench ... | head`
            _silence_stdout()
        except Exception as error:
            if isinstance(error, OSError) and error.errno in DISK_FULL_ERRNOS:
                _exit_with(_write_error_message(error), USAGE)
            if isinstance(error, OSError) and error.errno in UNWRITABLE_ERRNOS and error.filename is not None:
                _exit_with(f"fdabench: {os.fsdecode(error.filename)}: {error.strerror}", USAGE)
            if is_out_of_memory(error):
                _exit_with(f"fdabench: there is not enough memory: {str(error) or type(error).__name__}", USAGE)
            _exit_with(f"fdabench: this is a bug in fdabench; {_bug_report()}", BUG)

    return wrapper


def run_app(app: Callable[[], object]) -> None:
    """Run the program. typer prints help before a command begins, so a full disk is reported here for that output."""
    try:
        app()
    except OSError as error:
        if error.errno not in DISK_FULL_ERRNOS:
            raise
        typer.echo(_write_error_message(error), err=True)
        sys.exit(USAGE)


def _write_error_message(error: OSError) -> str:
    _silence_stdout()
    return f"fdabench: {error.filename or 'the output'}: cannot be written: {error.strerror}"


def _silence_stdout() -> None:
    """Redirect stdout to the null device. Python flushes the rest of the buffer at exit, which would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _resume_command() -> str:
    """Return the command that continues the run: the same one without `--fresh`, which would start over."""
    return shlex.join(["fdabench", *(argument for argument in sys.argv[1:] if argument != "--fresh")])


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def _exit_with(message: str, exit_code: int) -> NoReturn:
    typer.echo(escape_control_characters(message), err=True)
    raise typer.Exit(exit_code)


def _bug_report() -> str:
    """Write the traceback to a temporary file and return a clause that names the file.

    If the file cannot be written, the clause has the last line of the traceback.
    """
    text = traceback.format_exc()
    try:
        handle, name = tempfile.mkstemp(prefix="fdabench-bug-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"fdabench {__version__}, Python {sys.version}\n{sys.argv}\n\n{text}")
    except OSError as error:
        return f"the traceback cannot be written ({error.strerror}): {text.splitlines()[-1]}"
    return f"the traceback is in {name}"


LEAST_BYTES = 1_300_000_000
"""Bytes of address space that fdabench needs at least, measured with two cores and one process.

With less, the files of torch cannot be mapped. In a narrow range of limits, OpenBLAS (part of SciPy) requests its
buffer in an endless loop while it is loaded, and does not react to signals.
"""
_MESSAGES = ("failed to map segment", "cannot allocate memory", "can't allocate memory", "can't start new thread")
"""Messages of the dynamic loader, of torch and of Python, in exceptions of several types."""


def check_address_space() -> None:
    """Check the limit of the address space, which `ulimit -v` sets. Windows has no such limit.

    Raises:
        UsageError: the limit is below `LEAST_BYTES`.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_BYTES:
        raise UsageError(
            f"the address space is limited to {limit / 1e9:.2f} GB, and fdabench needs at least "
            f"{LEAST_BYTES / 1e9:.1f} GB; raise the limit, for example with `ulimit -v unlimited`"
        )


def is_out_of_memory(error: Exception) -> bool:
    """Whether the exception reports too little memory, or that no thread can be started."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(text in str(error).lower() for text in _MESSAGES)
