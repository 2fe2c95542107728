"""How long a run takes on a network, read from its ledger: never a rerun.

Time is steps x the compute time of a step + the time of the collectives. A collective takes its trips, each a latency,
and the time of its bytes (`accounting.costs`, in the suite's convention): all of them through one channel where that is
shared, a K-th of them through each worker's own link otherwise. Nothing overlaps, and workers are equally fast.

Where this is pessimistic: the check of an FDA step waits for its 8 bytes, which a real system would send during the
next step; a ring takes 2 (K - 1) latencies for them too, where a tree would take about 2 log2 K. Where it is
optimistic: with `paper` and `star` the coordinator's own link is as fast as all workers together want it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from fdabench.accounting.costs import EvalPoint, bytes_at, collectives_at

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Network:
    """`bandwidth` in bits per second, `latency` in seconds for one way."""

    bandwidth: float
    latency: float
    shared: bool
    """One channel for all workers, as in the air; otherwise each has a link of its own.

    All K workers' bytes go through a shared channel; the FDA paper's formula counts K - 1 of them, so a shared network
    is K / (K - 1) slower here than there, 25 % at K = 5.
    """
    about: str = ""

    def per_worker(self, workers: int) -> float:
        """The bandwidth of a link of one's own that is as fast."""
        return self.bandwidth / workers if self.shared else self.bandwidth


NETWORKS: Mapping[str, Network] = {
    "fl-0.5Gbps-shared": Network(0.5e9, 0.0, True, "the FDA paper's federated setting: a common channel of 0.5 Gbit/s"),
    "wan-100Mbps-40ms": Network(100e6, 40e-3, False, "sites joined by the internet: 100 Mbit/s each, 40 ms one way"),
    "datacenter-10Gbps": Network(10e9, 50e-6, False, "10 Gbit/s Ethernet, 50 us one way"),
    "infiniband-56Gbps": Network(56e9, 2e-6, False, "the FDA paper's cluster: 56 Gbit/s InfiniBand, 2 us one way"),
}


class CommunicationDemand(NamedTuple):
    """What a run asks of machines and network until some evaluation."""

    steps: int
    sequential_messages: int
    """Messages that wait for each other."""
    wire_bytes: int
    """Of all workers."""
    workers: int

    def seconds(self, bandwidth: float | Floats, latency: float | Floats, step_s: float) -> float | Floats:
        """With a link of `bandwidth` bits per second for each worker, and local steps of `step_s` seconds."""
        return self.steps * step_s + self.sequential_messages * latency + 8 * self.wire_bytes / self.workers / bandwidth

    def seconds_on(self, network: Network, step_s: float) -> float:
        return float(self.seconds(network.per_worker(self.workers), network.latency, step_s))


def demand_at(ledger: pd.DataFrame, instant: EvalPoint, workers: int, convention: str) -> CommunicationDemand:
    """What it took to get to an evaluation; `ledger` is one cell's."""
    spent = bytes_at(ledger, instant, workers, convention)
    return demand(instant.step, collectives_at(ledger, instant), spent.total, workers, convention)


def demand(steps: int, collectives: int, wire_bytes: int, workers: int, convention: str) -> CommunicationDemand:
    """Of so many steps and collectives that wait for each other, whose bytes over all workers are known."""
    return CommunicationDemand(steps, collectives * _sequential_messages(convention, workers), wire_bytes, workers)


def _sequential_messages(convention: str, workers: int) -> int:
    """Around the ring twice; else up and down, the answer to a local state included, which no convention prices."""
    return 2 * (workers - 1) if convention == "ring" else 2
