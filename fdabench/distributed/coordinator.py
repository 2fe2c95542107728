"""A process of a team: it averages with the others, hears what to do next, and settles with them what went wrong."""

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
"""Of a process that raised something, until the others have raised it as well."""
_PROCESS_LOST = "cut off"


class ErrorResolution(NamedTuple):
    """What a team makes of an error that one of its processes met."""

    error: Exception
    can_continue: bool
    """Every process raised something of its own, so none waits for another."""


class RankCoordinator:
    """A process of a team, from `join` to `leave` in the default process group."""

    def __init__(self, meeting: Rendezvous, rank: int) -> None:
        """
        Raises:
            ProcessLostError: there is no store.
        """
        self.rank, self.size, self._timeout_s = rank, meeting.size, meeting.timeout_s
        self._local = meeting.host == LOOPBACK
        self._store = dist.PrefixStore(meeting.name, meeting.store())
        self._store.set(f"here/{rank}", f"pid {os.getpid()} on {platform.node()}")
        self._over = threading.Event()
        beats = dist.PrefixStore(meeting.name, meeting.store())
        threading.Thread(target=_send_heartbeats, args=(beats, rank, self._over), daemon=True).start()

    def init_process_group(self, device: torch.device) -> None:
        """Wait for the others, the first time.

        Raises:
            ProcessLostError: they did not come in time; names them.
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
            absent = self._format_ranks(self._missing_ranks()) or "a process"
            raise ProcessLostError(f"{absent} did not come: {error}") from error

    @property
    def has_left(self) -> bool:
        """It has left."""
        return self._over.is_set()

    def shutdown(self) -> None:
        """Say goodbye; whoever serves the store waits for that."""
        if not self.has_left:
            self._over.set()
            with suppress(RuntimeError):
                self._store.set(f"gone/{self.rank}", "")
            if dist.is_initialized():
                dist.destroy_process_group()

    def broadcast_command(self, text: str) -> int:
        """Tell the others what to do next; the number of the order."""
        number = self._store.add("orders", 1)
        self._store.set(f"order/{number}", text)
        return number

    def iter_commands(self) -> Iterator[tuple[int, str]]:
        """What there is to do, as it comes, with its number; until the end.

        Raises:
            ProcessLostError: the store is gone, and with it whoever gave the orders.
        """
        number = 1
        while (text := wait_for_key(self._store, f"order/{number}", self._timeout_s)) != END:
            yield number, text
            number += 1

    def resolve_error(self, order: int, error: Exception) -> ErrorResolution:
        """Compare notes with the others after an error. The team is at its end unless all raised something; whoever
        does not lead has to end then, because its connections do so with its process.
        """
        raised = not isinstance(error, ProcessLostError)
        logger.warning("rank %d of %d: %s: %s", self.rank, self.size, type(error).__name__, error)
        self._store.set(
            _command(order, self.rank), f"raised {type(error).__name__}: {error}" if raised else _PROCESS_LOST
        )
        if not raised and self.rank != LEADER:
            # the store may be beyond the cut, and would be waited for
            self.shutdown()
            return ErrorResolution(error, can_continue=False)
        if not (raised and self._all_reported(order, ERROR_GRACE_S)):
            self.shutdown()
            if self.rank == LEADER:
                self._all_reported(order, self._timeout_s)
        words = {rank: self._store.get(_command(order, rank)).decode() for rank in self._reporting_ranks(order)}
        alike = len(words) == self.size and _PROCESS_LOST not in words.values()
        if not alike:
            self.shutdown()
        return ErrorResolution(self._cause(error, words), alike)

    def _cause(self, error: Exception, words: dict[int, str]) -> Exception:
        raised = [rank for rank, word in words.items() if word != _PROCESS_LOST]
        silent = [rank for rank in range(self.size) if rank not in words]
        if not isinstance(error, ProcessLostError):
            return error
        if raised:
            return RuntimeError(f"{self._format_ranks(raised[:1])} {words[raised[0]]}; the others waited for it")
        if silent:
            return ProcessLostError(
                f"no word from {self._format_ranks(silent)}: killed, stopped or cut off from the others"
            )
        return error

    def _all_reported(self, order: int, limit_s: float) -> bool:
        """Wait for a word of everybody who is alive; whether everybody has said one."""
        deadline = monotonic() + limit_s
        pulse = HeartbeatMonitor(self._store)
        while True:
            missing = set(range(self.size)) - set(self._reporting_ranks(order))
            alive = [rank for rank in missing if pulse.is_alive(rank)]
            if not alive or monotonic() > deadline:
                return not missing
            sleep(LOOK_S)

    def _reporting_ranks(self, order: int) -> list[int]:
        return [rank for rank in range(self.size) if self._store.check([_command(order, rank)])]

    def _missing_ranks(self) -> list[int]:
        return [rank for rank in range(self.size) if not self._store.check([f"here/{rank}"])]

    def _format_ranks(self, ranks: list[int]) -> str:
        """`rank 2 of 4 (pid 123 on host)`."""
        here = set(range(self.size)) - set(self._missing_ranks())
        where = {rank: f" ({self._store.get(f'here/{rank}').decode()})" for rank in here}
        return ", ".join(f"rank {rank} of {self.size}{where.get(rank, '')}" for rank in ranks)


def _use_loopback() -> None:
    """gloo listens on the interface that this names, else on the one that has the host's name."""
    known = {name for _, name in socket.if_nameindex()}
    loopback = next((name for name in ("lo", "lo0") if name in known), None)
    if loopback is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)


def _command(order: int, rank: int) -> str:
    return f"word/{order}/{rank}"


def _send_heartbeats(store: dist.PrefixStore, rank: int, over: threading.Event) -> None:
    try:
        while not over.wait(HEARTBEAT_INTERVAL_S):
            store.add(f"beat/{rank}", 1)
    except RuntimeError:
        # the store is gone, and so is whoever would look
        return
