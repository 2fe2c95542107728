"""Run a function in several processes of this machine: the gloo backend, with a file as the rendezvous."""

import pickle
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Lock
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist

Result = TypeVar("Result")


class Report(NamedTuple):
    """The message of a process at its end: the result of its task, or the traceback of its exception."""

    rank: int
    value: Any
    error: str


def launch(task: Callable[..., Result], processes: int, *arguments: object, timeout_s: float = 120.0) -> list[Result]:
    """Run `task(*arguments)` in each process; returns their results in rank order.

    The task is a function of a module, which the processes import. It runs inside the default process group, where
    `dist.get_rank()` gives the rank. Each process has one thread. All of them have ended when this returns.

    Raises:
        RuntimeError: a task raised; its traceback is in the message. The others are stopped.
        TimeoutError: a process was still running after `timeout_s`; all are killed.
    """
    context, deadline = get_context("forkserver"), monotonic() + timeout_s
    context.set_forkserver_preload([__name__])
    reports: dict[int, Report] = {}
    with TemporaryDirectory() as folder:
        inbox, outbox = context.Pipe(duplex=False)
        common = (processes, Path(folder) / "rendezvous", timeout_s, outbox, context.Lock(), task, arguments)
        ranks = [context.Process(target=_run_rank, args=(rank, *common), daemon=True) for rank in range(processes)]
        try:
            for process in ranks:
                process.start()
            outbox.close()
            while len(reports) < processes:
                report = _next(inbox, deadline)
                if report.error:
                    raise RuntimeError(f"process {report.rank} of {processes}:\n{report.error}")
                reports[report.rank] = report
            for process in ranks:
                process.join(max(0.0, deadline - monotonic()))
        finally:
            for process in ranks:
                if process.is_alive():
                    process.kill()
                    process.join()
            inbox.close()
    return [reports[rank].value for rank in range(processes)]


def _next(inbox: Connection, deadline: float) -> Report:
    if not inbox.poll(max(0.0, deadline - monotonic())):
        raise TimeoutError("a process is still busy, or lost")
    try:
        report: Report = pickle.loads(inbox.recv_bytes())
    except EOFError:
        raise RuntimeError("a process ended without a report; see its error output") from None
    return report


def _run_rank(
    rank: int,
    processes: int,
    rendezvous: Path,
    timeout_s: float,
    outbox: Connection,
    lock: Lock,
    task: Callable[..., Any],
    arguments: tuple[object, ...],
) -> None:
    """Report before leaving the group: the other ranks fail once one has left, so their reports must come later."""
    torch.set_num_threads(1)
    try:
        dist.init_process_group(
            "gloo", rendezvous.as_uri(), rank=rank, world_size=processes, timeout=timedelta(seconds=timeout_s)
        )
        # not Connection.send: torch would share its tensors' memory, which ends with this process
        report = pickle.dumps(Report(rank, task(*arguments), ""))
    except Exception:
        # whatever it was: the parent raises it
        report = pickle.dumps(Report(rank, None, traceback.format_exc()))
    with lock:
        outbox.send_bytes(report)
    if dist.is_initialized():
        dist.destroy_process_group()


def wait_until(condition: Callable[[], object], seconds: float = 60.0, interval_s: float = 0.05) -> None:
    """Call `condition` every `interval_s` seconds until it returns a true value; fail after `seconds`."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline
        sleep(interval_s)
