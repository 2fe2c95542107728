"""Time on a network, computed by hand from a ledger."""

import pandas as pd
import pytest

from fdabench.accounting.costs import EvalPoint
from fdabench.accounting.network_time import NETWORKS, CommunicationVolume, Network, volume_at

COLUMNS = [
    *("kind", "first_step", "last_step", "count", "elements", "dtype", "payload_bytes"),
    *("operation", "down_bytes", "slack"),
]
K, MODEL, STATE = 5, 1000, 8
# FDA that tells 8 bytes at each of 20 steps and synchronizes a model of 1,000 bytes at steps 7 and 11
LEDGER = pd.DataFrame(
    [
        ("initial", 0, 0, 1, MODEL // 4, "float32", MODEL, "all_reduce", MODEL, 0),
        ("state", 1, 20, 20, STATE // 4, "float32", STATE, "all_reduce", STATE, 0),
        ("model", 7, 11, 2, MODEL // 4, "float32", MODEL, "all_reduce", MODEL, 0),
    ],
    columns=COLUMNS,
)
OWN, SHARED = Network(8000.0, 0.25, shared=False), Network(8000.0, 0.25, shared=True)


def test_the_traffic_of_a_run_by_hand() -> None:
    """At step 10: the distribution, ten states and one sync are twelve collectives of two trips."""
    volume = volume_at(LEDGER, EvalPoint(10), K, "paper")
    assert volume == CommunicationVolume(10, 24, 2 * K * MODEL * 2 + K * STATE * 10, K)
    assert volume_at(LEDGER, EvalPoint(11), K, "paper").sequential_messages == 26
    assert volume_at(LEDGER, EvalPoint(11, after_sync=True), K, "paper").sequential_messages == 28


def test_a_ring_takes_two_latencies_for_each_neighbor() -> None:
    volume = volume_at(LEDGER, EvalPoint(10), K, "ring")
    assert volume.sequential_messages == 12 * 2 * (K - 1)
    assert volume.wire_bytes == 2 * (K - 1) * (MODEL + 10 * STATE)


def test_seconds_are_the_sum_of_compute_latency_and_transfer() -> None:
    """8,000 bits a second carry 1,000 bytes; five workers' 20,400 bytes take 20.4 s in one channel, a fifth in five."""
    volume = volume_at(LEDGER, EvalPoint(10), K, "paper")
    assert volume.wire_bytes == 20_400
    assert volume.seconds_on(SHARED, 0.1) == pytest.approx(10 * 0.1 + 24 * 0.25 + 20.4)
    assert volume.seconds_on(OWN, 0.1) == pytest.approx(10 * 0.1 + 24 * 0.25 + 20.4 / 5)


def test_without_latency_the_time_on_the_papers_channel_is_bytes_divided_by_bandwidth() -> None:
    """GB * 8 / 0.5 Gbps, the paper's common channel without its factor of (K - 1) / K."""
    volume = CommunicationVolume(1000, 10, 5 * 10**9, K)
    assert volume.seconds_on(NETWORKS["fl-0.5Gbps-shared"], 0.0) == pytest.approx(5 * 8 / 0.5)


def test_names_of_networks_describe_their_bandwidth_and_latency() -> None:
    speeds = {name: network.bandwidth for name, network in NETWORKS.items()}
    assert speeds == {
        "fl-0.5Gbps-shared": 0.5e9,
        "wan-100Mbps-40ms": 100e6,
        "datacenter-10Gbps": 10e9,
        "infiniband-56Gbps": 56e9,
    }
    assert NETWORKS["wan-100Mbps-40ms"].latency == pytest.approx(0.040)
