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

from fdabench.distributed.rendezvous import LEADER, open_local_store
from fdabench.execution.distributed_worker import BLOCKED_SIGNALS, run_local_follower
from fdabench.execution.worker_main import WorkerConfig, worker_main
from fdabench.experiment.distributed_cell import DistributedConfig, GroupConfig
from fdabench.suite.cell import Cell

START_TIMEOUT_S = 300.0
"""For a process to say that it is ready. Libraries that are loaded from a slow disk take their time; some hang."""


@dataclass(eq=False)
class WorkerHandle:
    """A process as its parent sees it."""

    process: Any
    pipe: Connection
    cells: dict[str, Cell] = field(default_factory=dict)
    """Those that it has been given and that have not ended."""
    was_ready: bool = False
    started_at: float = field(default_factory=monotonic)
    """On the monotonic clock."""
    startup_timed_out: bool = False
    """As it never said anything."""
    idle: bool = False
    follower_died_at: float = 0.0
    """On the monotonic clock, when a process of its team was found dead."""
    followers: list[Any] = field(default_factory=list)
    """The other processes of its team, if it leads one that is ours."""
    store: Any = None
    """Where they meet; it is there for as long as somebody holds it."""

    def check_startup(self) -> None:
        """Kill it where it has had its time to begin and has not begun."""
        if not self.was_ready and monotonic() - self.started_at > START_TIMEOUT_S:
            self.startup_timed_out = True
            self.process.kill()

    def describe_exit(self) -> str:
        """Of a process that has been joined."""
        if self.startup_timed_out:
            return f"it did not begin within {START_TIMEOUT_S:g} s"
        return describe_exit(self.process.exitcode)

    def kill(self) -> None:
        """At once, and all that belong to it."""
        for process in (self.process, *self.followers):
            process.kill()
        for process in (self.process, *self.followers):
            process.join()
        self.pipe.close()


def spawn_worker(task: WorkerConfig, plan: DistributedConfig | None) -> WorkerHandle:
    """A process that waits for cells, and those that hold their workers with it."""
    if plan is None:
        return _spawn(task)
    if plan.external_rendezvous is not None:
        return _spawn(task._replace(table=GroupConfig(plan.external_rendezvous, plan.mean, plan.wire)))
    store, meeting = open_local_store(plan.size, plan.timeout_s)
    table = GroupConfig(meeting, plan.mean, plan.wire)
    child = _spawn(task._replace(table=table))
    child.store = store
    for rank in range(LEADER + 1, plan.size):
        child.followers.append(_start_process(run_local_follower, task.kit, table, rank))
    return child


def _spawn(task: WorkerConfig) -> WorkerHandle:
    ours, theirs = mp.get_context("spawn").Pipe()
    process = _start_process(worker_main, theirs, task)
    theirs.close()
    return WorkerHandle(process, ours)


def _start_process(target: Callable[..., None], *arguments: object) -> Any:
    process = mp.get_context("spawn").Process(target=target, args=arguments, daemon=True)
    with _blocked_signals():
        process.start()
    return process


def send(child: WorkerHandle, message: object) -> None:
    try:
        child.pipe.send(message)
    except OSError:
        # it died just now, which the other end of the pipe will tell
        return


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """A process that begins here sees no signal while it imports; one for this process waits until the end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # it is started with the first process, and lets signals through when it is
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def describe_exit(exit_code: int) -> str:
    by = f"by signal {-exit_code} ({signal.strsignal(-exit_code)})" if exit_code < 0 else f"with exit code {exit_code}"
    hint = "; the system may have run out of memory" if exit_code == -signal.SIGKILL else ""
    return f"it ended {by}{hint}"
