"""Forwards packets between network namespaces after a fixed time: `python benchmarks/forwarder.py SECONDS NAME...`.

It stands in for the kernel's netem, which not every kernel has. Each namespace gets a TUN device, whose packets this
program reads, keeps for the latency, and writes to the device that their destination address names. Packets are as
large as the device allows, so that few of them pass through Python. Needs root; ends with SIGTERM.
"""

import ctypes
import os
import struct
import sys
from collections import deque
from fcntl import ioctl
from select import select
from time import monotonic

INTERFACE, MTU = "eth-fda", 65_000
_CLONE_NEWNET, _TUNSETIFF, _IFF_TUN_NO_PI = 0x40000000, 0x400454CA, 0x1001


def open_tun(namespace: str) -> int:
    """Return the file descriptor of a new TUN device in a namespace, in which this process is from now on."""
    with open(f"/run/netns/{namespace}", "rb") as place:
        if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns to {namespace}")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    ioctl(device, _TUNSETIFF, struct.pack("16sH", INTERFACE.encode(), _IFF_TUN_NO_PI))
    return device


def forward(devices: list[int], latency_s: float) -> None:
    """Forward IPv4 packets forever; the address ends with the number of the device, counted from 1."""
    on_the_way: deque[tuple[float, int, bytes]] = deque()
    while True:
        wait = max(0.0, on_the_way[0][0] - monotonic()) if on_the_way else None
        ready, _, _ = select(devices, [], [], wait)
        for device in ready:
            packet = os.read(device, MTU + 100)
            if packet[0] >> 4 == 4 and 0 < packet[19] <= len(devices):
                on_the_way.append((monotonic() + latency_s, devices[packet[19] - 1], packet))
        while on_the_way and on_the_way[0][0] <= monotonic():
            _, target, packet = on_the_way.popleft()
            os.write(target, packet)


if __name__ == "__main__":
    opened = [open_tun(name) for name in sys.argv[2:]]
    os.nice(-15)  # a packet must not wait for what else runs on this machine
    print("ready", flush=True)
    forward(opened, float(sys.argv[1]))
