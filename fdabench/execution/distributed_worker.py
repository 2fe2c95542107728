"""The start of every process that trains, and the follower ranks of distributed cells."""

import signal
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch

from fdabench.distributed.coordinator import RankCoordinator
from fdabench.engine.allocator import disable_malloc_trim
from fdabench.engine.gradients.selection import ENGINES
from fdabench.execution.shared_data import mmap_loader
from fdabench.experiment.distributed_cell import GroupConfig, RankContext, device_for_rank, run_as_follower
from fdabench.registry.plugin_loading import PackedPlugins
from fdabench.registry.registry import Registry
from fdabench.run_log import run_log

BLOCKED_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
"""Signals that are blocked while a process starts, until it has installed its handlers."""


class ComputeConfig(NamedTuple):
    """Settings that all processes of a run share."""

    folder: Path
    """The folder of the data sets that `execution.shared_data.export_datasets` has written."""
    device: torch.device
    engine: str
    threads: int
    plugins: PackedPlugins
    log_folder: Path | None = None
    """The results folder, whose log this process appends to."""

    def apply(self) -> None:
        """Set the number of threads and the behavior of the memory allocator in this process."""
        disable_malloc_trim()
        torch.set_num_threads(self.threads)


def unblock_signals() -> None:
    """Deliver the signals that were blocked."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_SIGNALS)


def make_rank_context(group: GroupConfig, rank: int, compute: ComputeConfig, registry: Registry) -> RankContext:
    """Connect a rank to its group and return what it trains with."""
    device = device_for_rank(compute.device, rank)
    return RankContext(
        RankCoordinator(group.rendezvous, rank), group.mean, group.wire, device, ENGINES[compute.engine], registry
    )


def run_follower(compute: ComputeConfig, group: GroupConfig, rank: int) -> None:
    """Run the follower rank of a group until its leader ends it.

    Raises:
        ProcessLostError: as `run_as_follower`.
    """
    compute.apply()
    with run_log(compute.log_folder, rank):
        rank_context = make_rank_context(group, rank, compute, compute.plugins.unpacked())
        try:
            run_as_follower(mmap_loader(compute.folder, rank_context.device), rank_context)
        finally:
            rank_context.member.shutdown()


def run_local_follower(compute: ComputeConfig, group: GroupConfig, rank: int) -> None:
    """Run a follower that this run has started. It ignores Ctrl-C, because the parent ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    unblock_signals()
    with suppress(Exception):
        run_follower(compute, group, rank)
