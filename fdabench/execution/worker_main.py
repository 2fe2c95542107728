"""The main functions of the processes of this machine: worker processes, and the follower ranks of distributed cells.

A worker process runs the cells that its parent sends through a pipe. It stops at the next step, with a checkpoint, on a
message of its parent, on SIGTERM, or when the parent is gone.
"""

import queue
import signal
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import torch

from fdabench.distributed.coordinator import RankCoordinator
from fdabench.distributed.rendezvous import LEADER, Rendezvous
from fdabench.engine.allocator import disable_malloc_trim
from fdabench.execution.backend import CellTask, acquire
from fdabench.execution.events import CellFinished, CellProgress, CellStarted, CellWarning, WorkerFailed
from fdabench.execution.lease import REFRESH_INTERVAL_S, Lease
from fdabench.execution.shared_data import mmap_loader
from fdabench.experiment.distributed_cell import RankContext, device_for_rank, run_as_follower
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.experiment.recorder import Progress
from fdabench.experiment.run_cell import CellCallbacks, ExecutionContext, run_cells_batched
from fdabench.registry.plugin_loading import PackedPlugins
from fdabench.results.folder import ResultsFolder
from fdabench.run_log import run_log
from fdabench.suite.cell import Cell

BLOCKED_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
"""Signals that are blocked while a process starts, until it has installed its handlers."""


class ProcessConfig(NamedTuple):
    """What a process of this machine is sent at its start: the settings of the run, and where it finds the rest.

    It is not part of `ExecutionConfig` because its folders exist on this machine only, and for as long as a run.
    """

    execution: ExecutionConfig
    plugins: PackedPlugins
    data_folder: Path
    """The folder of the data sets that `execution.shared_data.export_datasets` has written."""
    log_folder: Path | None = None
    """The results folder, whose log this process appends to."""
    rendezvous: Rendezvous | None = None
    """Of the group of ranks that it belongs to; None where it holds all workers of a cell."""

    def apply(self) -> None:
        """Set the number of threads and the behavior of the memory allocator in this process."""
        disable_malloc_trim()
        torch.set_num_threads(self.execution.threads)

    def make_context(self, rank: int) -> ExecutionContext:
        """Load the plug-ins, connect this process to its group if it has one, and return what it runs cells with."""
        registry, config, rank_context = self.plugins.unpack(), self.execution, None
        if self.rendezvous is not None:
            config = replace(config, device=device_for_rank(config.device, rank))
            rank_context = RankContext(RankCoordinator(self.rendezvous, rank), config, registry)
        return ExecutionContext(config, mmap_loader(self.data_folder, config.device), registry, rank_context)


def unblock_signals() -> None:
    """Deliver the signals that were blocked."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_SIGNALS)


def run_follower(config: ProcessConfig, rank: int) -> None:
    """Run the follower rank of a group until its leader ends it.

    Raises:
        ProcessLostError: as `run_as_follower`.
    """
    config.apply()
    with run_log(config.log_folder, rank):
        context = config.make_context(rank)
        assert context.rank_context is not None
        try:
            run_as_follower(context.load, context.rank_context)
        finally:
            context.rank_context.member.shutdown()


def run_local_follower(config: ProcessConfig, rank: int) -> None:
    """Run a follower that this run has started.

    It ignores SIGINT and SIGTERM, which may be sent to all processes of a run. The leader stops all ranks at the same
    step.
    """
    for signum in BLOCKED_SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    unblock_signals()
    with suppress(Exception):
        run_follower(config, rank)


class WorkerReady(NamedTuple):
    """The process is ready for cells."""


class StopWorker(NamedTuple):
    """Sent in place of cells: stop at the next step."""


def worker_main(pipe: Connection, config: ProcessConfig, store: ResultsFolder) -> None:
    """Run the cells that the parent sends through the pipe, and send back what happens.

    Args:
        pipe: receives lists of `CellTask` and `StopWorker`, and sends `WorkerReady` and backend events.
        config: of this process, which is the leader if it belongs to a group of ranks.
        store: the results folder.
    """
    stop = threading.Event()
    _install_signal_handlers(stop)
    config.apply()
    context: ExecutionContext | None = None
    inbox: queue.SimpleQueue[Sequence[CellTask]] = queue.SimpleQueue()
    leases: dict[str, Lease] = {}
    threading.Thread(target=_listen, args=(pipe, inbox, stop, leases), daemon=True).start()
    # a pipe that cannot be written means that the parent is gone, and `_listen` has set `stop`
    with run_log(config.log_folder), suppress(OSError):
        while not stop.is_set():
            pipe.send(WorkerReady())
            tasks = inbox.get()
            try:
                # within the try block, because loading a plug-in may raise anything
                context = context or config.make_context(LEADER)
                for task in tasks:
                    lease = acquire(task, store, context.registry)
                    if isinstance(lease, Lease):
                        leases[task.cell.id] = lease
                    else:
                        pipe.send(lease)
                _run([task.cell for task in tasks if task.cell.id in leases], store, context, stop, pipe)
                if context.rank_context is not None and context.rank_context.member.has_left:
                    # the other ranks are gone; the parent starts a new group
                    return
            except Exception as error:
                pipe.send(WorkerFailed(error))
                return
            finally:
                while leases:
                    leases.popitem()[1].release()


def _install_signal_handlers(stop: threading.Event) -> None:
    """Ignore Ctrl-C, which a terminal sends to all processes and the parent handles; SIGTERM stops at the next step."""

    def terminate(signum: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, terminate)
    unblock_signals()


def _listen(
    pipe: Connection, inbox: queue.SimpleQueue[Sequence[CellTask]], stop: threading.Event, leases: Mapping[str, Lease]
) -> None:
    """Read messages in a thread, because the main thread is blocked for the length of a local step."""
    with suppress(EOFError, OSError):
        while True:
            if not pipe.poll(REFRESH_INTERVAL_S):
                for lease in list(leases.values()):
                    lease.refresh()
            elif isinstance(message := pipe.recv(), StopWorker):
                break
            else:
                inbox.put(message)
    stop.set()
    inbox.put(())


def _run(
    cells: Sequence[Cell], store: ResultsFolder, context: ExecutionContext, stop: threading.Event, pipe: Connection
) -> None:
    by_id = {cell.id: cell for cell in cells}

    def on_progress(cell_id: str, progress: Progress) -> None:
        with suppress(OSError):
            pipe.send(CellProgress(by_id[cell_id], progress))

    def on_warning(cell_id: str, text: str) -> None:
        with suppress(OSError):
            pipe.send(CellWarning(by_id[cell_id], text))

    if not cells:
        return
    for cell in cells:
        pipe.send(CellStarted(cell))
    for record in run_cells_batched(cells, store, context, CellCallbacks(on_progress, stop.is_set, on_warning)):
        pipe.send(CellFinished(by_id[record.id], record))
