"""Delivers packets between network namespaces after a latency: `python benchmarks/forwarder.py SECONDS NAME...`.

It replaces the kernel module netem, which some kernels lack. Each namespace gets a TUN device. The program reads the
packets of all devices, keeps each for `SECONDS`, and writes it to the device of its destination address. The MTU is
65,000 bytes, because each packet passes through Python and large packets are fewer.

Needs root. Prints `ready` when all devices exist, and runs until SIGTERM.
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
    """Create a TUN device in a network namespace. The calling process stays in this namespace.

    Args:
        namespace: its name; the file `/run/netns/NAME` must exist.

    Returns:
        The file descriptor of the device, which does not block.

    Raises:
        OSError: the process cannot enter the namespace or create the device; both need root.
    """
    with open(f"/run/netns/{namespace}", "rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns to {namespace}")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    ioctl(device, _TUNSETIFF, struct.pack("16sH", INTERFACE.encode(), _IFF_TUN_NO_PI))
    return device


def forward(devices: list[int], latency_s: float) -> None:
    """Forward IPv4 packets in an endless loop. Other packets, and addresses without a device, are dropped.

    Args:
        devices: file descriptors of TUN devices. The last byte of a destination address is the number of its device,
            counted from 1.
        latency_s: seconds from reading a packet to writing it.
    """
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
    os.nice(-15)  # other processes must not delay a packet
    print("ready", flush=True)
    forward(opened, float(sys.argv[1]))
