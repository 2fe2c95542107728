"""Worker processes from the side of their parent: start, send, kill, and the reason of an exit."""

import multiprocessing as mp
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess, SpawnProcess
from multiprocessing.process import BaseProcess
from time import monotonic

from fdabench.distributed.rendezvous import LEADER, open_local_store
from fdabench.execution.worker_main import BLOCKED_SIGNALS, ProcessConfig, run_local_follower, worker_main
from fdabench.results.folder import ResultsFolder
from fdabench.suite.cell import Cell

START_TIMEOUT_S = 300.0
"""Seconds that a process has to report that it is ready. Imports from a slow disk take long, and some hang."""
# On Linux, one server process imports torch and this package, and the processes are forks of it: they start at once and
# share the memory of the libraries. The server computes nothing, so no thread of a library holds a lock when it forks.
# Processes of macOS may crash after a fork, and Windows has none.
_Process = ForkServerProcess if sys.platform == "linux" else SpawnProcess
_PRELOADED_MODULES = [worker_main.__module__]


@dataclass(eq=False)
class WorkerHandle:
    """A worker process and, of a distributed cell, the follower ranks of its group."""

    process: BaseProcess
    pipe: Connection
    cells: dict[str, Cell] = field(default_factory=dict)
    """Cells that it was given and that have not ended."""
    was_ready: bool = False
    started_at: float = field(default_factory=monotonic)
    """On the monotonic clock."""
    startup_timed_out: bool = False
    """Whether it was killed because it did not report in time."""
    idle: bool = False
    follower_died_at: float = 0.0
    """When a follower was found dead, on the monotonic clock; 0 before."""
    followers: list[BaseProcess] = field(default_factory=list)
    """The other ranks of its group, if this run started them."""
    rendezvous_store: object = None
    """The store of the rendezvous; it exists as long as this reference."""

    def check_startup(self) -> None:
        """Kill the process if it did not report within `START_TIMEOUT_S`."""
        if not self.was_ready and monotonic() - self.started_at > START_TIMEOUT_S:
            self.startup_timed_out = True
            self.process.kill()

    def describe_exit(self) -> str:
        """Why the process ended; it must have been joined."""
        if self.startup_timed_out:
            return f"it was not ready within {START_TIMEOUT_S:g} s"
        exit_code = self.process.exitcode
        assert exit_code is not None, "the process must be joined first"
        return describe_exit(exit_code)

    def kill(self) -> None:
        """Kill the process and its followers, and wait for them."""
        for process in (self.process, *self.followers):
            process.kill()
        for process in (self.process, *self.followers):
            process.join()
        self.pipe.close()


def start_worker(config: ProcessConfig, store: ResultsFolder) -> WorkerHandle:
    """Start a worker process and, for distributed cells, its followers."""
    distributed = config.execution.distributed
    if distributed is None or distributed.external_rendezvous is not None:
        return _start_with_pipe(config._replace(rendezvous=distributed and distributed.external_rendezvous), store)
    rendezvous_store, rendezvous = open_local_store(distributed.size, distributed.timeout_s)
    config = config._replace(rendezvous=rendezvous)
    child = _start_with_pipe(config, store)
    child.rendezvous_store = rendezvous_store
    for rank in range(LEADER + 1, distributed.size):
        child.followers.append(_start_process(run_local_follower, config, rank))
    return child


def _start_with_pipe(config: ProcessConfig, store: ResultsFolder) -> WorkerHandle:
    parent_end, child_end = mp.Pipe()
    process = _start_process(worker_main, child_end, config, store)
    child_end.close()
    return WorkerHandle(process, parent_end)


def _start_process(target: Callable[..., None], *arguments: object) -> BaseProcess:
    mp.set_forkserver_preload(_PRELOADED_MODULES)
    process = _Process(target=_run_with_environment, args=(dict(os.environ), target, *arguments), daemon=True)
    with _blocked_signals():
        process.start()
    return process


def _run_with_environment(environment: Mapping[str, str], target: Callable[..., None], *arguments: object) -> None:
    """Call the target with the environment variables of the parent: those of the server are from an earlier time."""
    os.environ.clear()
    os.environ.update(environment)
    target(*arguments)


def send(child: WorkerHandle, message: object) -> None:
    """Send a message to a worker process; it is dropped if the process has ended."""
    try:
        child.pipe.send(message)
    except OSError:
        # the process has just died; reading its pipe reports that
        return


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Block signals while a process starts, so that none interrupts its imports; the parent gets its own afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # multiprocessing starts it with the first process, and unblocks signals when it does
    resource_tracker.ensure_running()
    previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)


def describe_exit(exit_code: int) -> str:
    """Describe the exit code of a process, which is negative after a signal."""
    how = f"by signal {-exit_code} ({signal.strsignal(-exit_code)})" if exit_code < 0 else f"with exit code {exit_code}"
    hint = "; the system may have run out of memory" if exit_code == -signal.SIGKILL else ""
    return f"it ended {how}{hint}"
