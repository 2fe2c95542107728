"""What every process that runs cells, or parts of them, begins with; and the processes that do as a leader says."""

import signal
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch

from fdabench.catalogue.kinds import Catalogue
from fdabench.catalogue.load import Packed
from fdabench.engine.choice import ENGINES
from fdabench.engine.member import Member
from fdabench.engine.memory import keep_freed_memory
from fdabench.run.distributed import Seat, Table, obey, own_device
from fdabench.run.shared import mapped

HELD_BACK = frozenset({signal.SIGINT, signal.SIGTERM})
"""Signals that wait until a process has said what becomes of them; a process is born with them held back."""


class Kit(NamedTuple):
    """What a process computes with."""

    folder: Path
    """Of the data, as `run.shared.on_disk` leaves it."""
    device: torch.device
    engine: str
    threads: int
    plugins: Packed

    def unpack(self) -> None:
        """Take the memory and the threads that it says."""
        keep_freed_memory()
        torch.set_num_threads(self.threads)


def heed_signals() -> None:
    """What has been held back until now comes through."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)


def seat_at(table: Table, rank: int, kit: Kit, catalogue: Catalogue) -> Seat:
    device = own_device(kit.device, rank)
    return Seat(Member(table.meeting, rank), table.mean, table.wire, device, ENGINES[kit.engine], catalogue)


def follow(kit: Kit, table: Table, rank: int) -> None:
    """Be another process of the team, until the leader has nothing more to do.

    Raises:
        CutOffError: as `obey`.
    """
    kit.unpack()
    seat = seat_at(table, rank, kit, kit.plugins.unpacked())
    try:
        obey(mapped(kit.folder, seat.device), seat)
    finally:
        seat.member.leave()


def follow_quietly(kit: Kit, table: Table, rank: int) -> None:
    """As `follow`, for a process of which the leader tells what becomes of it; a terminal's Ctrl-C is not for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    heed_signals()
    with suppress(Exception):
        follow(kit, table, rank)
