"""Computes how long a run would take on a network from its ledger, without running it again.

The time is the number of steps times the compute time of a step, plus the time of the collectives. A collective takes
one latency for each message that waits for another, plus the transfer time of its bytes (`accounting.costs`, in the
suite's convention). All bytes pass through a shared channel one after the other; without one, each of K workers sends
1/K of them through its own link. The model assumes that nothing overlaps and that workers are equally fast.

The model is pessimistic in two ways. An FDA step waits until its 8 bytes of state arrive, which a real system would
send during the next step. A ring takes 2 (K - 1) latencies for them, and a tree would take about 2 log2 K. The model is
optimistic in one way: with `paper` and `star` the link of the coordinator never limits the speed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from fdabench.accounting.arrays import Floats
from fdabench.accounting.costs import EvalPoint, bytes_at, collectives_at


@dataclass(frozen=True)
class Network:
    """A network: `bandwidth` in bits per second, `latency` in seconds for one way."""

    bandwidth: float
    latency: float
    shared: bool
    """Whether all workers share one channel, as in a radio network; otherwise each worker has its own link.

    The bytes of all K workers pass through a shared channel. The formula of the FDA paper counts the bytes of K - 1
    workers, so a shared network is slower here by the factor K / (K - 1), which is 25 % at K = 5.
    """
    about: str = ""

    def per_worker(self, workers: int) -> float:
        """Return the bandwidth for each worker: that of its own link, or its share of the shared channel."""
        return self.bandwidth / workers if self.shared else self.bandwidth


NETWORKS: Mapping[str, Network] = {
    "fl-0.5Gbps-shared": Network(0.5e9, 0.0, True, "the FDA paper's federated setting: a common channel of 0.5 Gbit/s"),
    "wan-100Mbps-40ms": Network(100e6, 40e-3, False, "sites joined by the internet: 100 Mbit/s each, 40 ms one way"),
    "datacenter-10Gbps": Network(10e9, 50e-6, False, "10 Gbit/s Ethernet, 50 us one way"),
    "infiniband-56Gbps": Network(56e9, 2e-6, False, "the FDA paper's cluster: 56 Gbit/s InfiniBand, 2 us one way"),
}


class CommunicationVolume(NamedTuple):
    """The computation and communication of a run up to an evaluation."""

    steps: int
    sequential_messages: int
    """Messages that wait for each other; each takes one latency."""
    wire_bytes: int
    """Bytes over all workers."""
    workers: int

    def seconds(self, bandwidth: float | Floats, latency: float | Floats, step_s: float) -> float | Floats:
        """Return the time of the run in seconds.

        Args:
            bandwidth: bits per second of the link of each worker.
            latency: seconds for one way.
            step_s: seconds of computation of one local step.

        >>> CommunicationVolume(100, 10, 4_000_000, 4).seconds(8e6, 0.1, 0.02)
        4.0
        """
        return self.steps * step_s + self.sequential_messages * latency + 8 * self.wire_bytes / self.workers / bandwidth

    def seconds_on(self, network: Network, step_s: float) -> float:
        return float(self.seconds(network.per_worker(self.workers), network.latency, step_s))


def volume_at(ledger: pd.DataFrame, instant: EvalPoint, workers: int, convention: str) -> CommunicationVolume:
    """Return the computation and communication of a cell up to an evaluation.

    Args:
        ledger: the cell's ledger.
        instant: the evaluation.
        workers: the number of workers.
        convention: a key of `accounting.costs.CONVENTIONS`.
    """
    costs = bytes_at(ledger, instant, workers, convention)
    return communication_volume(instant.step, collectives_at(ledger, instant), costs.total, workers, convention)


def communication_volume(
    steps: int, collectives: int, wire_bytes: int, workers: int, convention: str
) -> CommunicationVolume:
    """Return the volume of a run of `steps` with this number of collectives and of bytes over all workers."""
    return CommunicationVolume(steps, collectives * sequential_messages(convention, workers), wire_bytes, workers)


def sequential_messages(convention: str, workers: int) -> int:
    """Return the number of messages of a collective that wait for each other.

    In a ring, messages pass all workers twice. Otherwise there is one message up and one down, also for a local state
    whose answer costs no bytes in the convention.
    """
    return 2 * (workers - 1) if convention == "ring" else 2
