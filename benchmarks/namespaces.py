"""Processes in network namespaces of their own, each with one link to a common switch: hosts, on one machine.

Needs root and iproute2. Nothing else is on the links, so an interface's counters say what the processes sent.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

INTERFACE = "eth-fda"
PORT = 29400


class Hosts(NamedTuple):
    """Namespaces by rank; rank r has the address 10.87.0.(r + 1) on `INTERFACE`."""

    names: tuple[str, ...]

    def limit(self, bits_per_s: float) -> None:
        """Send at most so many; each host by itself."""
        # a millisecond's worth, at least two packets: an idle link must not make up for it with a burst
        burst = max(3000, int(bits_per_s / 8 / 1000))
        queue = ("rate", f"{bits_per_s:.0f}bit", "burst", f"{burst}b", "limit", "256mb")
        for name in self.names:
            _ip("netns", "exec", name, "tc", "qdisc", "replace", "dev", INTERFACE, "root", "tbf", *queue)

    def unplug(self, rank: int) -> None:
        """Pull this host's cable."""
        _ip("-n", self.names[rank], "link", "set", INTERFACE, "down")

    def run(self, arguments: Sequence[str], folder: Path, timeout_s: float) -> list[subprocess.CompletedProcess[str]]:
        """One process of a distributed run on every host, as torchrun would start them; what each said, by rank."""
        programs = [self._started(rank, arguments, folder) for rank in range(len(self.names))]
        done = []
        try:
            for program in programs:
                out, err = program.communicate(timeout=timeout_s)
                done.append(subprocess.CompletedProcess(program.args, program.returncode, out, err))
        finally:
            for program in programs:
                program.kill()
                program.wait()
        return done

    def _started(self, rank: int, arguments: Sequence[str], folder: Path) -> subprocess.Popen[str]:
        there = {"RANK": rank, "WORLD_SIZE": len(self.names), "MASTER_ADDR": _address(0), "MASTER_PORT": PORT}
        environment = os.environ | {name: str(value) for name, value in there.items()}
        environment |= {"GLOO_SOCKET_IFNAME": INTERFACE, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        command = ["ip", "netns", "exec", self.names[rank], sys.executable, "-m", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes)


@contextmanager
def hosts(count: int) -> Iterator[Hosts]:
    """So many hosts on one switch; all are gone at the end.

    Raises:
        PermissionError: this machine does not let us.
    """
    mark = uuid4().hex[:4]
    names = tuple(f"fda-{mark}-{rank}" for rank in range(count))
    switch = f"fda-{mark}-s"
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
            _in_order(name, INTERFACE)
            _in_order(switch, f"p{rank}")
        yield Hosts(names)


@contextmanager
def distant_hosts(count: int, latency_s: float) -> Iterator[Hosts]:
    """So many hosts whose packets `forwarder.py` passes on after a latency; `Hosts.limit` and `unplug` do not apply.

    Raises:
        PermissionError: this machine does not let us.
    """
    mark = uuid4().hex[:4]
    names = tuple(f"fda-{mark}-{rank}" for rank in range(count))
    with ExitStack() as stack:
        for name in names:
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
        program = [sys.executable, str(Path(__file__).with_name("forwarder.py")), f"{latency_s}", *names]
        forwarder = stack.enter_context(subprocess.Popen(program, stdout=subprocess.PIPE, text=True))
        stack.callback(forwarder.terminate)
        assert forwarder.stdout is not None
        if forwarder.stdout.readline() != "ready\n":
            raise PermissionError("forwarder.py has not started")
        for rank, name in enumerate(names):
            _ip("-n", name, "addr", "add", f"{_address(rank)}/24", "dev", INTERFACE)
            _ip("-n", name, "link", "set", INTERFACE, "mtu", "65000", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield Hosts(names)


def _in_order(name: str, interface: str) -> None:
    """One core takes what arrives: from several, packets overtake each other, and TCP sends again what it misses."""
    _ip("netns", "exec", name, "sh", "-c", f"echo 1 > /sys/class/net/{interface}/queues/rx-0/rps_cpus")


def _address(rank: int) -> str:
    return f"10.87.0.{rank + 1}"


def _ip(*arguments: str) -> None:
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise PermissionError("there is no iproute2 here") from error
    if done.returncode:
        raise PermissionError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
