"""The control plane of one rank: commands of the leader, heartbeats, and agreement on errors."""

import logging
import os
import platform
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from time import monotonic, sleep
from typing import NamedTuple

import torch
import torch.distributed as dist

from fdabench.distributed.rendezvous import END, LEADER, LOOK_S, LOOPBACK, HeartbeatMonitor, Rendezvous, wait_for_key
from fdabench.errors import ProcessLostError

logger = logging.getLogger(__name__)

HEARTBEAT_INTERVAL_S = 1.0
ERROR_GRACE_S = 5.0
"""Seconds that a rank waits after its own exception for the others to raise theirs."""
_PROCESS_LOST = "cut off"


class ErrorResolution(NamedTuple):
    """What the ranks agreed on after an error in one of them."""

    error: Exception
    can_continue: bool
    """Whether every rank raised an exception itself, so that none waits for another and the group can go on."""


class RankCoordinator:
    """One rank of a group, from its registration in the store to `shutdown`."""

    def __init__(self, rendezvous: Rendezvous, rank: int) -> None:
        """Register the rank in the store and start its heartbeat.

        Raises:
            ProcessLostError: the store does not answer.
        """
        self.rank, self.size, self._timeout_s = rank, rendezvous.size, rendezvous.timeout_s
        self._local = rendezvous.host == LOOPBACK
        self._store = dist.PrefixStore(rendezvous.name, rendezvous.store())
        self._store.set(f"here/{rank}", f"pid {os.getpid()} on {platform.node()}")
        self._left = threading.Event()
        heartbeat_store = dist.PrefixStore(rendezvous.name, rendezvous.store())
        threading.Thread(target=_send_heartbeats, args=(heartbeat_store, rank, self._left), daemon=True).start()

    def init_process_group(self, device: torch.device) -> None:
        """Initialize the default process group; waits for the other ranks. Later calls do nothing.

        Raises:
            ProcessLostError: ranks did not join in time; names them.
        """
        if dist.is_initialized():
            return
        backend = "gloo" if device.type == "cpu" else f"cpu:gloo,{device.type}:nccl"
        limit = timedelta(seconds=self._timeout_s)
        if self._local:
            _use_loopback()
        try:
            group = dist.PrefixStore("group", self._store)
            dist.init_process_group(backend, store=group, rank=self.rank, world_size=self.size, timeout=limit)
            logger.info("rank %d of %d has joined over %s", self.rank, self.size, backend)
        except RuntimeError as error:
            missing = self._format_ranks(self._missing_ranks()) or "a process"
            raise ProcessLostError(f"{missing} did not join the process group: {error}") from error

    @property
    def has_left(self) -> bool:
        """Whether `shutdown` was called."""
        return self._left.is_set()

    def shutdown(self) -> None:
        """Leave the group. The process that serves the store waits for this."""
        if not self.has_left:
            self._left.set()
            with suppress(RuntimeError):
                self._store.set(f"gone/{self.rank}", "")
            if dist.is_initialized():
                dist.destroy_process_group()

    def broadcast_command(self, text: str) -> int:
        """Send a command to the other ranks.

        Returns:
            The number of the command.
        """
        number = self._store.add("orders", 1)
        self._store.set(f"order/{number}", text)
        return number

    def iter_commands(self) -> Iterator[tuple[int, str]]:
        """Yield the commands of the leader with their numbers, until it ends the group.

        Raises:
            ProcessLostError: the connection to the store, and so to the leader, is lost.
        """
        number = 1
        while (text := wait_for_key(self._store, f"order/{number}", self._timeout_s)) != END:
            yield number, text
            number += 1

    def resolve_error(self, command: int, error: Exception) -> ErrorResolution:
        """Agree with the other ranks on an error.

        The group ends unless all ranks raised an exception. A follower has to end its process then, because that
        closes its connections.

        Args:
            command: the number of the command that failed.
            error: what this rank raised.
        """
        raised = not isinstance(error, ProcessLostError)
        logger.warning("rank %d of %d: %s: %s", self.rank, self.size, type(error).__name__, error)
        self._store.set(
            _report_key(command, self.rank), f"raised {type(error).__name__}: {error}" if raised else _PROCESS_LOST
        )
        if not raised and self.rank != LEADER:
            # the store may be unreachable as well, and a call would wait for it
            self.shutdown()
            return ErrorResolution(error, can_continue=False)
        if not (raised and self._all_reported(command, ERROR_GRACE_S)):
            self.shutdown()
            if self.rank == LEADER:
                self._all_reported(command, self._timeout_s)
        reports = {
            rank: self._store.get(_report_key(command, rank)).decode() for rank in self._reporting_ranks(command)
        }
        all_raised = len(reports) == self.size and _PROCESS_LOST not in reports.values()
        if not all_raised:
            self.shutdown()
        return ErrorResolution(self._cause(error, reports), all_raised)

    def _cause(self, error: Exception, reports: dict[int, str]) -> Exception:
        raised = [rank for rank, report in reports.items() if report != _PROCESS_LOST]
        silent = [rank for rank in range(self.size) if rank not in reports]
        if not isinstance(error, ProcessLostError):
            return error
        if raised:
            return RuntimeError(f"{self._format_ranks(raised[:1])} {reports[raised[0]]}; the other ranks waited for it")
        if silent:
            return ProcessLostError(
                f"no report from {self._format_ranks(silent)}: it was killed or stopped, or its connection is lost"
            )
        return error

    def _all_reported(self, command: int, limit_s: float) -> bool:
        """Wait until every rank that is alive has reported.

        Returns:
            Whether all ranks have reported.
        """
        deadline = monotonic() + limit_s
        monitor = HeartbeatMonitor(self._store)
        while True:
            missing = set(range(self.size)) - set(self._reporting_ranks(command))
            alive = [rank for rank in missing if monitor.is_alive(rank)]
            if not alive or monotonic() > deadline:
                return not missing
            sleep(LOOK_S)

    def _reporting_ranks(self, command: int) -> list[int]:
        return [rank for rank in range(self.size) if self._store.check([_report_key(command, rank)])]

    def _missing_ranks(self) -> list[int]:
        return [rank for rank in range(self.size) if not self._store.check([f"here/{rank}"])]

    def _format_ranks(self, ranks: list[int]) -> str:
        """`rank 2 of 4 (pid 123 on host)`."""
        registered = set(range(self.size)) - set(self._missing_ranks())
        hosts = {rank: f" ({self._store.get(f'here/{rank}').decode()})" for rank in registered}
        return ", ".join(f"rank {rank} of {self.size}{hosts.get(rank, '')}" for rank in ranks)


def _use_loopback() -> None:
    """Make gloo listen on the loopback interface; by default it takes the one with the name of the host."""
    interfaces = {name for _, name in socket.if_nameindex()}
    loopback = next((name for name in ("lo", "lo0") if name in interfaces), None)
    if loopback is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)


def _report_key(command: int, rank: int) -> str:
    return f"word/{command}/{rank}"


def _send_heartbeats(store: dist.PrefixStore, rank: int, left: threading.Event) -> None:
    try:
        while not left.wait(HEARTBEAT_INTERVAL_S):
            store.add(f"beat/{rank}", 1)
    except RuntimeError:
        # the store is gone, so no rank reads the heartbeat
        return
