"""Simulate several hosts on one machine: each is a network namespace with one link to a common switch.

It needs root and iproute2. No other program uses these links, so the counters of an interface count only what the
processes in its namespace send and receive.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple
from uuid import uuid4

INTERFACE = "eth-fda"
PORT = 29400
TCP_BUFFERS = "4096 4194304 6291456"
"""The least, initial and most bytes of a socket's buffer on distant hosts; a model must fit into the initial one.

Linux begins with a window of 64 kB. A longer message then takes further round trips, until the kernel has enlarged it.
"""
SHOWN_LINES = 20
"""The number of lines of a failed process's output that an error shows."""


class Process(NamedTuple):
    """A process of a distributed run, and the file that its standard output and standard error are written to."""

    popen: subprocess.Popen[bytes]
    output: Path


class Hosts(NamedTuple):
    """The namespaces, in rank order. Rank r has the address 10.87.0.(r + 1) on `INTERFACE`."""

    names: tuple[str, ...]

    def limit(self, bits_per_s: float) -> None:
        """Limit the rate at which each host sends, in bits per second."""
        # an idle host may send a burst at full speed; with a large one its mean rate would exceed the limit
        burst = max(3000, int(bits_per_s / 8 / 1000))
        queue = ("rate", f"{bits_per_s:.0f}bit", "burst", f"{burst}b", "limit", "256mb")
        for name in self.names:
            _ip("netns", "exec", name, "tc", "qdisc", "replace", "dev", INTERFACE, "root", "tbf", *queue)

    def disconnect(self, rank: int) -> None:
        """Set the interface of a host down: it sends and receives nothing from now on."""
        _ip("-n", self.names[rank], "link", "set", INTERFACE, "down")

    def run(self, arguments: Sequence[str], folder: Path, timeout_s: float) -> None:
        """Run `python -m *arguments` in `folder` on every host, with the environment that torchrun would set.

        The output of rank r is in `folder/rank-r.log`.

        Raises:
            RuntimeError: a process ended with a nonzero exit code; the others were stopped.
            TimeoutError: a process was still running after `timeout_s` seconds; all were stopped.
        """
        wait_for_all(self.start(arguments, folder), timeout_s)

    def start(self, arguments: Sequence[str], folder: Path) -> list[Process]:
        """Start the processes as `run` does, and return them in rank order without waiting for them."""
        processes = []
        for rank, name in enumerate(self.names):
            variables = {"RANK": rank, "WORLD_SIZE": len(self.names), "MASTER_ADDR": _address(0), "MASTER_PORT": PORT}
            environment = os.environ | {key: str(value) for key, value in variables.items()}
            environment |= {"GLOO_SOCKET_IFNAME": INTERFACE, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
            command = ["ip", "netns", "exec", name, sys.executable, "-m", *arguments]
            processes.append(start_process(command, folder / f"rank-{rank}.log", cwd=folder, env=environment))
        return processes


def start_process(
    command: Sequence[str], output: Path, cwd: Path | None = None, env: dict[str, str] | None = None
) -> Process:
    """Start a Python process that writes its standard output and standard error to the file `output`."""
    # without a buffer, so that the reason of an exit comes last and not before what was printed earlier
    variables = {**(os.environ if env is None else env), "PYTHONUNBUFFERED": "1"}
    # a file and not a pipe: a process blocks when its pipe is full and nobody reads it
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=cwd, env=variables, stdout=file, stderr=subprocess.STDOUT)
    return Process(process, output)


def wait_for_all(processes: Sequence[Process], timeout_s: float, grace_s: float = 5.0) -> None:
    """Wait until all processes have ended with exit code 0.

    If one ends with another exit code, the others are stopped. They would
    otherwise wait in a collective or at the rendezvous until their own timeout.

    Args:
        processes: one for each rank, in rank order.
        timeout_s: seconds to wait for all of them.
        grace_s: seconds between SIGTERM and SIGKILL, as in `stop_all`.

    Raises:
        RuntimeError: a process ended with a nonzero exit code. The message has its rank, its exit code (-n: ended by
            signal n) and the last lines of its output.
        TimeoutError: a process was still running after `timeout_s`. The message names the ranks.
    """
    deadline = monotonic() + timeout_s
    try:
        while True:
            codes = [process.popen.poll() for process in processes]
            if any(codes):
                failures = (_failure(rank, processes[rank]) for rank, code in enumerate(codes) if code)
                raise RuntimeError("\n".join(failures))
            running = [rank for rank, code in enumerate(codes) if code is None]
            if not running:
                return
            if monotonic() > deadline:
                raise TimeoutError(f"still running after {timeout_s:g} s: rank {', '.join(map(str, running))}")
            sleep(0.05)
    finally:
        stop_all(processes, grace_s)


def stop_all(processes: Sequence[Process], grace_s: float = 5.0) -> None:
    """Send SIGTERM to the processes that are still running, and SIGKILL to those that run `grace_s` seconds later."""
    for process in processes:
        process.popen.terminate()
    deadline = monotonic() + grace_s
    for process in processes:
        try:
            process.popen.wait(max(0.0, deadline - monotonic()))
        except subprocess.TimeoutExpired:
            process.popen.kill()
            process.popen.wait()


def _failure(rank: int, process: Process) -> str:
    lines = process.output.read_text(encoding="utf-8", errors="replace").splitlines()
    header = f"rank {rank} ended with exit code {process.popen.returncode}; last lines of {process.output}:"
    return "\n".join([header, *lines[-SHOWN_LINES:]])


@contextmanager
def hosts(count: int) -> Iterator[Hosts]:
    """Create `count` hosts that are connected by one switch (a Linux bridge); delete them at the end.

    Raises:
        PermissionError: iproute2 is missing, or a namespace or link cannot be created.
    """
    prefix = f"fda-{uuid4().hex[:4]}"
    names = tuple(f"{prefix}-{rank}" for rank in range(count))
    switch = f"{prefix}-s"
    with ExitStack() as stack:
        for name in (switch, *names):
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
        _ip("-n", switch, "link", "add", "name", "br0", "type", "bridge")
        _ip("-n", switch, "link", "set", "br0", "up")
        for rank, name in enumerate(names):
            _ip("-n", name, "link", "add", INTERFACE, "type", "veth", "peer", "name", f"p{rank}", "netns", switch)
            _ip("-n", switch, "link", "set", f"p{rank}", "master", "br0", "up")
            _ip("-n", name, "addr", "add", f"{_address(rank)}/24", "dev", INTERFACE)
            _ip("-n", name, "link", "set", INTERFACE, "up")
            _ip("-n", name, "link", "set", "lo", "up")
            _receive_on_one_core(name, INTERFACE)
            _receive_on_one_core(switch, f"p{rank}")
        yield Hosts(names)


@contextmanager
def distant_hosts(count: int, latency_s: float) -> Iterator[Hosts]:
    """Create `count` hosts between which `forwarder.py` delivers each packet after `latency_s`; delete them at the end.

    `Hosts.limit` and `Hosts.disconnect` are not supported: there is no switch and no link with a rate.

    Raises:
        PermissionError: iproute2 is missing, or a namespace or device cannot be created.
    """
    prefix = f"fda-{uuid4().hex[:4]}"
    names = tuple(f"{prefix}-{rank}" for rank in range(count))
    with ExitStack() as stack:
        for name in names:
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
        program = [sys.executable, str(Path(__file__).with_name("forwarder.py")), f"{latency_s}", *names]
        forwarder = stack.enter_context(subprocess.Popen(program, stdout=subprocess.PIPE, text=True))
        stack.callback(forwarder.terminate)
        assert forwarder.stdout is not None
        if forwarder.stdout.readline() != "ready\n":
            raise PermissionError("forwarder.py did not start; its error output has the reason")
        for rank, name in enumerate(names):
            _ip("-n", name, "addr", "add", f"{_address(rank)}/24", "dev", INTERFACE)
            _ip("-n", name, "link", "set", INTERFACE, "mtu", "65000", "up")
            for buffer in ("tcp_rmem", "tcp_wmem"):
                _ip("netns", "exec", name, "sysctl", "-qw", f"net.ipv4.{buffer}={TCP_BUFFERS}")
            _ip("-n", name, "link", "set", "lo", "up")
        yield Hosts(names)


def _receive_on_one_core(name: str, interface: str) -> None:
    """Let one core process all packets that an interface receives (receive packet steering).

    With several cores packets may arrive out of order. TCP takes the late ones for lost and sends them again, and the
    counters would include these bytes.
    """
    _ip("netns", "exec", name, "sh", "-c", f"echo 1 > /sys/class/net/{interface}/queues/rx-0/rps_cpus")


def _address(rank: int) -> str:
    return f"10.87.0.{rank + 1}"


def _ip(*arguments: str) -> None:
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise PermissionError("iproute2 is not installed") from error
    if done.returncode:
        raise PermissionError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
