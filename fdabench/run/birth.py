"""Processes that run cells, as their parent sees them: how they are born, spoken to, and what they died of."""

import multiprocessing as mp
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any

from fdabench.engine.meeting import LEADER, opened
from fdabench.run.child import Task, serve
from fdabench.run.distributed import Plan, Table
from fdabench.run.follow import HELD_BACK, follow_quietly
from fdabench.suite.cell import Cell

FIRST_SIGN_S = 300.0
"""For a process to say that it is ready. Libraries that are loaded from a slow disk take their time; some hang."""


@dataclass(eq=False)
class Child:
    """A process as its parent sees it."""

    process: Any
    pipe: Connection
    cells: dict[str, Cell] = field(default_factory=dict)
    """Those that it has been given and that have not ended."""
    was_ready: bool = False
    born_at: float = field(default_factory=monotonic)
    """On the monotonic clock."""
    given_up: bool = False
    """As it never said anything."""
    idle: bool = False
    left_at: float = 0.0
    """On the monotonic clock, when a process of its team was found dead."""
    followers: list[Any] = field(default_factory=list)
    """The other processes of its team, if it leads one that is ours."""
    store: Any = None
    """Where they meet; it is there for as long as somebody holds it."""

    def give_up_if_silent(self) -> None:
        """Kill it where it has had its time to begin and has not begun."""
        if not self.was_ready and monotonic() - self.born_at > FIRST_SIGN_S:
            self.given_up = True
            self.process.kill()

    def cause_of_death(self) -> str:
        """Of a process that has been joined."""
        if self.given_up:
            return f"it did not begin within {FIRST_SIGN_S:g} s"
        return cause_of_death(self.process.exitcode)

    def kill(self) -> None:
        """At once, and all that belong to it."""
        for process in (self.process, *self.followers):
            process.kill()
        for process in (self.process, *self.followers):
            process.join()
        self.pipe.close()


def born(task: Task, plan: Plan | None) -> Child:
    """A process that waits for cells, and those that hold their workers with it."""
    if plan is None:
        return _born(task)
    if plan.outside is not None:
        return _born(task._replace(table=Table(plan.outside, plan.mean, plan.wire)))
    store, meeting = opened(plan.size, plan.timeout_s)
    table = Table(meeting, plan.mean, plan.wire)
    child = _born(task._replace(table=table))
    child.store = store
    for rank in range(LEADER + 1, plan.size):
        child.followers.append(_started(follow_quietly, task.kit, table, rank))
    return child


def _born(task: Task) -> Child:
    ours, theirs = mp.get_context("spawn").Pipe()
    process = _started(serve, theirs, task)
    theirs.close()
    return Child(process, ours)


def _started(target: Callable[..., None], *arguments: object) -> Any:
    process = mp.get_context("spawn").Process(target=target, args=arguments, daemon=True)
    with _signals_held_back():
        process.start()
    return process


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
