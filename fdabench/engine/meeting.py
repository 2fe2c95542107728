"""How the processes of a team find each other, and what they leave each other in writing: a store that outlives them.

Averages cross a process group, where everybody waits for everybody. What must not wait stands in the store: which cell
comes next, what went wrong, and a beat by which one knows the living from the dead.
"""

import platform
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from os import getpid
from time import monotonic, sleep
from typing import NamedTuple

import torch
import torch.distributed as dist

from fdabench.errors import CutOffError

LOOK_S, BEAT_S, SILENT_S = 0.05, 1.0, 8.0
PATIENCE_S = 5.0
"""Of a process that raised something, until the others have raised it as well."""
LEADER = 0
_END = "end"


@dataclass(frozen=True)
class Meeting:
    """Where a team of so many meets: a store at this address, in which its keys begin with its name."""

    host: str
    port: int
    name: str
    size: int
    timeout_s: float
    """How long a process waits for another one."""

    def store(self, *, serves: bool = False) -> dist.TCPStore:
        """The server, or a way to it.

        Raises:
            CutOffError: nobody answers there, or the port is taken.
        """
        limit = timedelta(seconds=self.timeout_s)
        try:
            return dist.TCPStore(self.host, self.port, None, serves, limit, wait_for_workers=False)
        except RuntimeError as error:
            raise CutOffError(f"no store at {self.host}:{self.port}: {error}") from error


def opened(size: int, timeout_s: float) -> tuple[dist.TCPStore, Meeting]:
    """A meeting on this machine, and the store that has to be held for as long as it lasts."""
    store = Meeting("127.0.0.1", 0, "fdabench", size, timeout_s).store(serves=True)
    return store, Meeting("127.0.0.1", store.port, "fdabench", size, timeout_s)


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
        self._store = dist.PrefixStore(meeting.name, meeting.store())
        self._store.set(f"here/{rank}", f"pid {getpid()} on {platform.node()}")
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
        """Whoever waits for this process in a collective stops waiting."""
        if not self.over:
            self._over.set()
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
        while (text := self._wait_for(f"order/{number}")) != _END:
            yield number, text
            number += 1

    def settle(self, order: int, error: Exception) -> Verdict:
        """Compare notes with the others after an error. The team is at its end unless all raised something; whoever
        does not lead has to end then, because its connections do so with its process.
        """
        mine = f"cut off: {error}" if isinstance(error, CutOffError) else f"raised {type(error).__name__}: {error}"
        self._store.set(_word(order, self.rank), mine)
        if not mine.startswith("raised") or not self._all_have_said(order, PATIENCE_S):
            self.leave()
            if self.rank == LEADER:
                self._all_have_said(order, self._timeout_s)
        words = {rank: self._store.get(_word(order, rank)).decode() for rank in self._who_said(order)}
        alike = len(words) == self.size and all(word.startswith("raised") for word in words.values())
        if not alike:
            self.leave()
        return Verdict(self._cause(error, words), alike)

    def _cause(self, error: Exception, words: dict[int, str]) -> Exception:
        raised = [rank for rank, word in words.items() if word.startswith("raised")]
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
        beats: dict[int, tuple[int, float]] = {}
        while True:
            missing = set(range(self.size)) - set(self._who_said(order))
            for rank in missing:
                beat = self._store.add(f"beat/{rank}", 0)
                if rank not in beats or beats[rank][0] != beat:
                    beats[rank] = beat, monotonic()
            alive = [rank for rank in missing if monotonic() - beats[rank][1] < SILENT_S]
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

    def _wait_for(self, key: str) -> str:
        try:
            while not self._store.check([key]):
                sleep(LOOK_S)
            return self._store.get(key).decode()
        except RuntimeError as error:
            raise CutOffError(f"the store is gone: {error}") from error


def dismiss(meeting: Meeting) -> None:
    """Tell a team that there is nothing more to do, from outside of it."""
    store = dist.PrefixStore(meeting.name, meeting.store())
    number = store.add("orders", 1)
    store.set(f"order/{number}", _END)


def _word(order: int, rank: int) -> str:
    return f"word/{order}/{rank}"


def _beat(store: dist.PrefixStore, rank: int, over: threading.Event) -> None:
    try:
        while not over.wait(BEAT_S):
            store.add(f"beat/{rank}", 1)
    except RuntimeError:
        # the store is gone, and so is whoever would look
        return
