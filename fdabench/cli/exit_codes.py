"""From exceptions to exit codes: what a person did wrong is one message, a bug of ours is a file and its path."""

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
from fdabench.cli.memory import check_address_space, is_out_of_memory
from fdabench.errors import FdabenchError
from fdabench.results.escaping import escape_control_characters

USAGE, BUG, OUT_OF_TIME, INTERRUPTED, TERMINATED = 2, 70, 75, 130, 143
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
UNWRITABLE_ERRNOS = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM)
"""To a file that somebody named; whoever asks whether it is there is told so by the system."""

P = ParamSpec("P")


class Terminated(BaseException):
    """SIGTERM: raised wherever the program is, so that what is under way can be left in order."""


class TimeLimitReached(BaseException):
    """The time that was given is up; what is left goes on with the next call."""


def with_exit_codes(command: Callable[P, None]) -> Callable[P, None]:
    """The command, ending in one of the documented exit codes."""

    @wraps(command)
    def safely(*args: P.args, **kwargs: P.kwargs) -> None:
        signal.signal(signal.SIGTERM, _terminate)
        try:
            check_address_space()
            command(*args, **kwargs)
            sys.stdout.flush()
        except typer.Exit:
            raise  # an exit code that the command chose
        except TimeLimitReached:
            _end(f"fdabench: the time is up; this goes on from here: {_again()}", OUT_OF_TIME)
        except FdabenchError as error:
            _end(f"fdabench: {error}", error.exit_code)
        except KeyboardInterrupt:
            _end(f"fdabench: interrupted; this goes on from here: {_again()}", INTERRUPTED)
        except Terminated:
            _end(f"fdabench: terminated; this goes on from here: {_again()}", TERMINATED)
        except BrokenPipeError:
            # the reader went away, as `| head` does: nothing is wrong
            _silence_stdout()
        except Exception as error:
            if isinstance(error, OSError) and error.errno in DISK_FULL_ERRNOS:
                _end(_no_room(error), USAGE)
            if isinstance(error, OSError) and error.errno in UNWRITABLE_ERRNOS and error.filename is not None:
                _end(f"fdabench: {os.fsdecode(error.filename)}: {error.strerror}", USAGE)
            if is_out_of_memory(error):
                _end(f"fdabench: there is not enough memory: {str(error) or type(error).__name__}", USAGE)
            _end(f"fdabench: this is a bug of fdabench; {_bug_report()}", BUG)

    return safely


def run_app(app: Callable[[], object]) -> None:
    """The program, whose help is printed before any command begins."""
    try:
        app()
    except OSError as error:
        if error.errno not in DISK_FULL_ERRNOS:
            raise
        typer.echo(_no_room(error), err=True)
        sys.exit(USAGE)


def _no_room(error: OSError) -> str:
    _silence_stdout()
    return f"fdabench: {error.filename or 'the output'}: cannot be written: {error.strerror}"


def _silence_stdout() -> None:
    """What is left in stdout's buffer would fail once more when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _again() -> str:
    """The same command, which does not do again what is done."""
    return shlex.join(["fdabench", *(argument for argument in sys.argv[1:] if argument != "--fresh")])


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def _end(message: str, exit_code: int) -> NoReturn:
    typer.echo(escape_control_characters(message), err=True)
    raise typer.Exit(exit_code)


def _bug_report() -> str:
    """Where the traceback is; where there is no room for it, what it ends with."""
    said = traceback.format_exc()
    try:
        handle, name = tempfile.mkstemp(prefix="fdabench-bug-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"fdabench {__version__}, Python {sys.version}\n{sys.argv}\n\n{said}")
    except OSError as error:
        return f"no room for its traceback ({error.strerror}): {said.splitlines()[-1]}"
    return f"its traceback is in {name}"
