"""How the processes of a team find each other, and what they leave each other in writing: a store that outlives them.

Averages cross a process group, where everybody waits for everybody. What must not wait stands in the store: which cell
comes next, what went wrong, and a beat by which one knows the living from the dead.
"""

import socket
import threading
from dataclasses import dataclass
from datetime import timedelta
from queue import Empty, SimpleQueue
from time import monotonic, sleep

import torch.distributed as dist

from fdabench.errors import ProcessLostError

LOOK_S, SILENT_S = 0.05, 8.0
LEADER, END = 0, "end"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Rendezvous:
    """Where a team of so many meets: a store at this address, in which its keys begin with its name."""

    host: str
    port: int
    name: str
    size: int
    timeout_s: float
    """How long a process waits for another one."""

    def store(self) -> dist.TCPStore:
        """A way to it.

        Raises:
            ProcessLostError: nobody answers there.
        """
        limit = timedelta(seconds=self.timeout_s)
        try:
            return dist.TCPStore(self.host, self.port, None, False, limit, wait_for_workers=False)
        except RuntimeError as error:
            raise ProcessLostError(f"no store at {self.host}:{self.port}: {error}") from error

    def is_server(self) -> dist.TCPStore:
        """The store itself, on the interface that has the meeting's address and on no other: it asks nobody who he is.

        Raises:
            ProcessLostError: the port is taken, or no interface of this machine has the address.
        """
        limit = timedelta(seconds=self.timeout_s)
        try:
            listener = _listener(self.host, self.port)
        except OSError as error:
            raise ProcessLostError(
                f"no store can be served at {self.host}:{self.port}: {error.strerror}; "
                "the address has to be one of rank 0's interfaces"
            ) from error
        host, port = listener.getsockname()[:2]
        try:
            # the store closes the listener when it goes
            return dist.TCPStore(
                host, port, None, True, limit, wait_for_workers=False, master_listen_fd=listener.detach()
            )
        except RuntimeError as error:
            raise ProcessLostError(f"no store can be served at {host}:{port}: {error}") from error


def _listener(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener


def open_local_store(size: int, timeout_s: float) -> tuple[dist.TCPStore, Rendezvous]:
    """A meeting on this machine, which no other reaches, and the store that has to be held for as long as it lasts."""
    store = Rendezvous(LOOPBACK, 0, "fdabench", size, timeout_s).is_server()
    return store, Rendezvous(LOOPBACK, store.port, "fdabench", size, timeout_s)


class HeartbeatMonitor:
    """Whether processes are alive, as far as their beats can be heard."""

    def __init__(self, store: dist.Store) -> None:
        self._store = store
        self._beats: dict[int, tuple[int, float]] = {}

    def is_alive(self, rank: int) -> bool:
        """Whether it has beaten a moment ago; in doubt, yes."""
        beat = self._store.add(f"beat/{rank}", 0)
        if rank not in self._beats or self._beats[rank][0] != beat:
            self._beats[rank] = beat, monotonic()
        return monotonic() - self._beats[rank][1] < SILENT_S


def request_shutdown(meeting: Rendezvous) -> None:
    """Tell a team that there is nothing more to do, from outside of it."""
    store = dist.PrefixStore(meeting.name, meeting.store())
    number = store.add("orders", 1)
    store.set(f"order/{number}", END)


def wait_for_shutdown(meeting: Rendezvous) -> None:
    """Wait until all that follow have gone, or are dead; for whoever serves their store."""
    store = dist.PrefixStore(meeting.name, meeting.store())
    deadline, pulse = monotonic() + meeting.timeout_s, HeartbeatMonitor(store)
    left = set(range(LEADER + 1, meeting.size))
    while left and monotonic() < deadline:
        came = {rank for rank in left if store.check([f"here/{rank}"])}
        left -= {rank for rank in came if store.check([f"gone/{rank}"]) or not pulse.is_alive(rank)}
        sleep(LOOK_S)


def wait_for_key(store: dist.Store, key: str, limit_s: float) -> str:
    """What stands there, once it does. It is asked in a thread of its own: a store beyond a cut is not heard of again,
    and whoever asks cannot be called back.

    Raises:
        ProcessLostError: the store is gone, or has not answered for so long.
    """
    heard: SimpleQueue[str | Exception | None] = SimpleQueue()
    threading.Thread(target=_listen, args=(store, key, heard), daemon=True).start()
    while True:
        try:
            said = heard.get(timeout=limit_s)
        except Empty:
            raise ProcessLostError(f"the store has not answered for {limit_s:g} s") from None
        if isinstance(said, Exception):
            raise ProcessLostError(f"the store is gone: {said}") from said
        if said is not None:
            return said


def _listen(store: dist.Store, key: str, heard: "SimpleQueue[str | Exception | None]") -> None:
    """Put what stands there, once it does; until then now and then nothing, or an error at the end."""
    try:
        while not store.check([key]):
            heard.put(None)
            sleep(LOOK_S)
        heard.put(store.get(key).decode())
    except RuntimeError as error:
        heard.put(error)
