"""The rendezvous of the ranks of a group: a key-value store that they share.

Averages go through a process group, where all ranks wait for each other. Messages that must not wait are keys of the
store: commands, errors, and heartbeats.
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
    """The address of a store, the prefix of the group's keys, and the size of the group."""

    host: str
    port: int
    name: str
    size: int
    timeout_s: float
    """Seconds that a rank waits for another one."""

    def store(self) -> dist.TCPStore:
        """Connect to the store.

        Raises:
            ProcessLostError: no store answers at the address.
        """
        limit = timedelta(seconds=self.timeout_s)
        try:
            return dist.TCPStore(self.host, self.port, None, False, limit, wait_for_workers=False)
        except RuntimeError as error:
            raise ProcessLostError(f"no store at {self.host}:{self.port}: {error}") from error

    def is_server(self) -> dist.TCPStore:
        """Serve the store, on the interface with the address of the rendezvous only, because it has no authentication.

        Raises:
            ProcessLostError: the port is taken, or no interface of this machine has the address.
        """
        limit = timedelta(seconds=self.timeout_s)
        try:
            listener = _listener(self.host, self.port)
        except OSError as error:
            raise ProcessLostError(
                f"no store can be served at {self.host}:{self.port}: {error.strerror}; "
                "the address must be that of one of rank 0's interfaces"
            ) from error
        host, port = listener.getsockname()[:2]
        try:
            # the store closes the listener when it is deleted
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
    """A rendezvous on the loopback interface, and its store, which exists as long as the reference to it."""
    store = Rendezvous(LOOPBACK, 0, "fdabench", size, timeout_s).is_server()
    return store, Rendezvous(LOOPBACK, store.port, "fdabench", size, timeout_s)


class HeartbeatMonitor:
    """Reads the heartbeats of ranks and detects ranks that have stopped sending them."""

    def __init__(self, store: dist.Store) -> None:
        self._store = store
        self._beats: dict[int, tuple[int, float]] = {}

    def is_alive(self, rank: int) -> bool:
        """Whether the rank has sent a heartbeat recently; true if that is not known."""
        beat = self._store.add(f"beat/{rank}", 0)
        if rank not in self._beats or self._beats[rank][0] != beat:
            self._beats[rank] = beat, monotonic()
        return monotonic() - self._beats[rank][1] < SILENT_S


def request_shutdown(rendezvous: Rendezvous) -> None:
    """End a group from outside: its followers get no more commands."""
    store = dist.PrefixStore(rendezvous.name, rendezvous.store())
    number = store.add("orders", 1)
    store.set(f"order/{number}", END)


def wait_for_shutdown(rendezvous: Rendezvous) -> None:
    """Wait until all followers have left or are dead; called by the process that serves their store."""
    store = dist.PrefixStore(rendezvous.name, rendezvous.store())
    deadline, monitor = monotonic() + rendezvous.timeout_s, HeartbeatMonitor(store)
    remaining = set(range(LEADER + 1, rendezvous.size))
    while remaining and monotonic() < deadline:
        registered = {rank for rank in remaining if store.check([f"here/{rank}"])}
        remaining -= {rank for rank in registered if store.check([f"gone/{rank}"]) or not monitor.is_alive(rank)}
        sleep(LOOK_S)


def wait_for_key(store: dist.Store, key: str, limit_s: float) -> str:
    """Wait for a key of the store and return its value.

    A thread reads the store, because a call to a store that cannot be reached any more never returns.

    Raises:
        ProcessLostError: the connection to the store is lost, or the store has not answered within the timeout.
    """
    replies: SimpleQueue[str | Exception | None] = SimpleQueue()
    threading.Thread(target=_listen, args=(store, key, replies), daemon=True).start()
    while True:
        try:
            reply = replies.get(timeout=limit_s)
        except Empty:
            raise ProcessLostError(f"the store has not answered for {limit_s:g} s") from None
        if isinstance(reply, Exception):
            raise ProcessLostError(f"the connection to the store is lost: {reply}") from reply
        if reply is not None:
            return reply


def _listen(store: dist.Store, key: str, replies: "SimpleQueue[str | Exception | None]") -> None:
    """Put the value of the key into the queue, or the error of the store.

    While the key does not exist, put None after each answer of the store. So the reader can detect that the store has
    stopped answering.
    """
    try:
        while not store.check([key]):
            replies.put(None)
            sleep(LOOK_S)
        replies.put(store.get(key).decode())
    except RuntimeError as error:
        replies.put(error)
