"""Processes that run cells, as their parent sees them: how they are born, spoken to, and what they died of."""

import multiprocessing as mp
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from fdabench.run.child import HELD_BACK, Task, serve
from fdabench.suite.cell import Cell


@dataclass(eq=False)
class Child:
    """A process as its parent sees it."""

    process: Any
    pipe: Connection
    cells: dict[str, Cell] = field(default_factory=dict)
    """Those that it has been given and that have not ended."""
    was_ready: bool = False
    idle: bool = False


def born(task: Task) -> Child:
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, task), daemon=True)
    with _signals_held_back():
        process.start()
    theirs.close()
    return Child(process, ours)


def send(child: Child, message: object) -> None:
    try:
        child.pipe.send(message)
    except OSError:
        # it died just now, which the other end of the pipe will tell
        return


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """A process that begins here sees no signal while it imports; one for this process waits until the end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # it is started with the first process, and lets signals through when it is
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cause_of_death(exit_code: int) -> str:
    by = f"by signal {-exit_code} ({signal.strsignal(-exit_code)})" if exit_code < 0 else f"with exit code {exit_code}"
    hint = "; the system may have run out of memory" if exit_code == -signal.SIGKILL else ""
    return f"it ended {by}{hint}"
