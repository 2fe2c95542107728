"""The start of every process that trains, and the follower ranks of distributed cells."""

import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from fdabench.distributed.coordinator import RankCoordinator
from fdabench.distributed.rendezvous import Rendezvous
from fdabench.engine.allocator import disable_malloc_trim
from fdabench.execution.shared_data import mmap_loader
from fdabench.experiment.distributed_cell import RankContext, device_for_rank, run_as_follower
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.experiment.run_cell import ExecutionContext
from fdabench.registry.plugin_loading import PackedPlugins
from fdabench.run_log import run_log

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
        registry, config, rank_context = self.plugins.unpacked(), self.execution, None
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
    """Run a follower that this run has started. It ignores Ctrl-C, because the parent ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    unblock_signals()
    with suppress(Exception):
        run_follower(config, rank)
