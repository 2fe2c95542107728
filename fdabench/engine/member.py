"""A process of a team: it averages with the others, hears what to do next, and settles with them what went wrong."""

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

from fdabench.engine.meeting import END, LEADER, LOOK_S, LOOPBACK, Meeting, Pulse, wait_for
from fdabench.errors import CutOffError

BEAT_S = 1.0
PATIENCE_S = 5.0
"""Of a process that raised something, until the others have raised it as well."""
_CUT_OFF = "cut off"


class Verdict(NamedTuple):
    """What a team makes of an error that one of its processes met."""

    error: Exception
    goes_on: bool
    """Every process raised something of its own, so none waits for another."""


class Member:
    """A process of a team, from `join` to `leave` in the default process group."""

    def __init__(self, meeting: Meeting, rank: int) -> None:
        """
        Raises:
            CutOffError: there is no store.
        """
        self.rank, self.size, self._timeout_s = rank, meeting.size, meeting.timeout_s
        self._local = meeting.host == LOOPBACK
        self._store = dist.PrefixStore(meeting.name, meeting.store())
        self._store.set(f"here/{rank}", f"pid {os.getpid()} on {platform.node()}")
        self._over = threading.Event()
        beats = dist.PrefixStore(meeting.name, meeting.store())
        threading.Thread(target=_beat, args=(beats, rank, self._over), daemon=True).start()

    def join(self, device: torch.device) -> None:
        """Wait for the others, the first time.

        Raises:
            CutOffError: they did not come in time; names them.
        """
        if dist.is_initialized():
            return
        backend = "gloo" if device.type == "cpu" else f"cpu:gloo,{device.type}:nccl"
        limit = timedelta(seconds=self._timeout_s)
        if self._local:
            _stay_on_this_machine()
        try:
            group = dist.PrefixStore("group", self._store)
            dist.init_process_group(backend, store=group, rank=self.rank, world_size=self.size, timeout=limit)
        except RuntimeError as error:
            absent = self._named(self._absent()) or "a process"
            raise CutOffError(f"{absent} did not come: {error}") from error

    @property
    def over(self) -> bool:
        """It has left."""
        return self._over.is_set()

    def leave(self) -> None:
        """Say goodbye; whoever serves the store waits for that."""
        if not self.over:
            self._over.set()
            with suppress(RuntimeError):
                self._store.set(f"gone/{self.rank}", "")
            if dist.is_initialized():
                dist.destroy_process_group()

    def order(self, text: str) -> int:
        """Tell the others what to do next; the number of the order."""
        number = self._store.add("orders", 1)
        self._store.set(f"order/{number}", text)
        return number

    def orders(self) -> Iterator[tuple[int, str]]:
        """What there is to do, as it comes, with its number; until the end.

        Raises:
            CutOffError: the store is gone, and with it whoever gave the orders.
        """
        number = 1
        while (text := wait_for(self._store, f"order/{number}", self._timeout_s)) != END:
            yield number, text
            number += 1

    def settle(self, order: int, error: Exception) -> Verdict:
        """Compare notes with the others after an error. The team is at its end unless all raised something; whoever
        does not lead has to end then, because its connections do so with its process.
        """
        raised = not isinstance(error, CutOffError)
        self._store.set(_word(order, self.rank), f"raised {type(error).__name__}: {error}" if raised else _CUT_OFF)
        if not raised and self.rank != LEADER:
            # the store may be beyond the cut, and would be waited for
            self.leave()
            return Verdict(error, goes_on=False)
        if not (raised and self._all_have_said(order, PATIENCE_S)):
            self.leave()
            if self.rank == LEADER:
                self._all_have_said(order, self._timeout_s)
        words = {rank: self._store.get(_word(order, rank)).decode() for rank in self._who_said(order)}
        alike = len(words) == self.size and _CUT_OFF not in words.values()
        if not alike:
            self.leave()
        return Verdict(self._cause(error, words), alike)

    def _cause(self, error: Exception, words: dict[int, str]) -> Exception:
        raised = [rank for rank, word in words.items() if word != _CUT_OFF]
        silent = [rank for rank in range(self.size) if rank not in words]
        if not isinstance(error, CutOffError):
            return error
        if raised:
            return RuntimeError(f"{self._named(raised[:1])} {words[raised[0]]}; the others waited for it")
        if silent:
            return CutOffError(f"no word from {self._named(silent)}: killed, stopped or cut off from the others")
        return error

    def _all_have_said(self, order: int, limit_s: float) -> bool:
        """Wait for a word of everybody who is alive; whether everybody has said one."""
        deadline = monotonic() + limit_s
        pulse = Pulse(self._store)
        while True:
            missing = set(range(self.size)) - set(self._who_said(order))
            alive = [rank for rank in missing if pulse.felt(rank)]
            if not alive or monotonic() > deadline:
                return not missing
            sleep(LOOK_S)

    def _who_said(self, order: int) -> list[int]:
        return [rank for rank in range(self.size) if self._store.check([_word(order, rank)])]

    def _absent(self) -> list[int]:
        return [rank for rank in range(self.size) if not self._store.check([f"here/{rank}"])]

    def _named(self, ranks: list[int]) -> str:
        """`rank 2 of 4 (pid 123 on host)`."""
        here = set(range(self.size)) - set(self._absent())
        where = {rank: f" ({self._store.get(f'here/{rank}').decode()})" for rank in here}
        return ", ".join(f"rank {rank} of {self.size}{where.get(rank, '')}" for rank in ranks)


def _stay_on_this_machine() -> None:
    """gloo listens on the interface that this names, else on the one that has the host's name."""
    known = {name for _, name in socket.if_nameindex()}
    loopback = next((name for name in ("lo", "lo0") if name in known), None)
    if loopback is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)


def _word(order: int, rank: int) -> str:
    return f"word/{order}/{rank}"


def _beat(store: dist.PrefixStore, rank: int, over: threading.Event) -> None:
    try:
        while not over.wait(BEAT_S):
            store.add(f"beat/{rank}", 1)
    except RuntimeError:
        # the store is gone, and so is whoever would look
        return
