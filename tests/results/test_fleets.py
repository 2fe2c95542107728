"""Time on fleets: closed forms, the times of networks as a special case, and measured processes that sleep."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.distributed as dist

from fdabench.accounting.costs import CONVENTIONS, EvalPoint
from fdabench.accounting.fleets import FLEETS, Fleet, Links, fleet_time
from fdabench.accounting.network_time import NETWORKS, volume_at
from fdabench.accounting.step_time import Constant, Exponential, Lognormal, Pareto, StepTime, Trace
from fdabench.errors import ResultError, UsageError
from fdabench.results.fleets import read_trace
from fdabench.validation.fleet_file import read_fleets
from support.launch import launch

COLUMNS = [
    *("kind", "first_step", "last_step", "count", "elements", "dtype", "payload_bytes"),
    *("operation", "down_bytes", "slack"),
]
FREE = Links((math.inf,))


def ledger_of(*rows: tuple[str, int, int, int, int, int]) -> pd.DataFrame:
    """Rows of kind, first step, last step, count, bytes and slack."""
    full = [
        (kind, a, b, n, size // 4, "float32", size, "all_reduce", size, slack) for kind, a, b, n, size, slack in rows
    ]
    return pd.DataFrame(full, columns=COLUMNS)


def every(period: int, steps: int, size: int = 4, slack: int = 0) -> pd.DataFrame:
    return ledger_of(("state", period, steps - steps % period, steps // period, size, slack))


FDA = ledger_of(("initial", 0, 0, 1, 1000, 0), ("state", 1, 40, 40, 8, 0), ("model", 7, 21, 3, 1000, 0))


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("point", [EvalPoint(7), EvalPoint(7, after_sync=True), EvalPoint(30)])
def test_equal_machines_take_the_time_of_the_network(name: str, convention: str, point: EvalPoint) -> None:
    network = NETWORKS[name]
    fleet = Fleet(Constant(), Links((network.bandwidth,), (network.latency,), network.shared))
    actual = fleet_time(FDA, point, 5, convention, fleet, 0.02, seed=0)
    expected = volume_at(FDA, point, 5, convention).seconds_on(NETWORKS[name], 0.02)
    assert actual.total == pytest.approx(expected, rel=1e-12)
    assert actual.compute == pytest.approx(0.02 * point.step)
    assert actual.waiting == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("workers", [1, 2, 10])
def test_with_exponential_times_a_barrier_at_every_step_costs_the_harmonic_number(workers: int) -> None:
    """The maximum of K exponentials has mean H_K and variance sum 1/k^2, so 5 standard errors are allowed."""
    steps = 40_000
    actual = fleet_time(every(1, steps), EvalPoint(steps), workers, "paper", Fleet(Exponential(), FREE), 1.0, seed=1)
    harmonic = sum(1 / k for k in range(1, workers + 1))
    error = math.sqrt(sum(1 / k**2 for k in range(1, workers + 1)) / steps)
    assert actual.total / steps == pytest.approx(harmonic, abs=5 * error)


@pytest.mark.parametrize(("period", "expected"), [(1, 2.25), (10, 1.35), (100, 1.11)])
def test_waiting_with_the_jitter_of_fedscale_by_hand(period: int, expected: float) -> None:
    """Ten workers, sigma 0.6: Monte Carlo figures of another program, with 4,000 draws and three digits."""
    steps = 40_000
    actual = fleet_time(every(period, steps), EvalPoint(steps), 10, "paper", Fleet(Lognormal(0.6), FREE), 1.0, seed=0)
    assert actual.total / steps == pytest.approx(expected, abs=0.02)
    assert actual.waiting == pytest.approx(actual.total - actual.compute)


def test_constant_unequal_speeds_cost_the_same_at_every_period() -> None:
    fleet = Fleet(Constant(), FREE, speeds=(1.0, 0.5, 2.0))
    for period in (1, 10, 100):
        assert fleet_time(every(period, 1000), EvalPoint(1000), 6, "paper", fleet, 0.1, 0).total == pytest.approx(200)


def test_time_grows_with_sigma_and_with_the_number_of_workers() -> None:
    def total(sigma: float, workers: int) -> float:
        fleet = Fleet(Lognormal(sigma), FREE)
        return fleet_time(every(1, 2000), EvalPoint(2000), workers, "paper", fleet, 1.0, seed=3).total

    by_sigma = [total(sigma, 8) for sigma in (0, 0.1, 0.3, 0.6, 1.0)]
    by_workers = [total(0.5, workers) for workers in (1, 2, 4, 8, 16)]
    assert by_sigma == sorted(by_sigma)
    assert by_workers == sorted(by_workers)


@pytest.mark.parametrize("law", [Constant(), Lognormal(0.6), Exponential(), Pareto(2.5), Pareto(1.0, 20.0)])
def test_every_distribution_of_step_times_has_mean_one(law: StepTime) -> None:
    samples = law.draw(np.random.default_rng(0), 200_000, np.ones(2), 1.0)
    assert samples.mean() == pytest.approx(1, abs=5 * samples.std() / math.sqrt(samples.size) + 1e-12)


def test_the_time_does_not_depend_on_the_number_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block may end within a segment, at its end, or at the last step."""
    fleet = Fleet(Lognormal(0.5), FREE)
    whole = [fleet_time(FDA, EvalPoint(step), 3, "paper", fleet, 1.0, seed=0) for step in (6, 7, 39, 40)]
    for block in (3, 6, 9, 21, 60):
        monkeypatch.setattr("fdabench.accounting.fleets._BLOCK", block)
        parts = [fleet_time(FDA, EvalPoint(step), 3, "paper", fleet, 1.0, seed=0) for step in (6, 7, 39, 40)]
        assert parts == [pytest.approx(item, rel=1e-12) for item in whole]


def clocks(step_times: np.ndarray, collectives: Sequence[tuple[int, float, int]]) -> float:
    """A plain simulation: step by step, with (step, seconds, slack) of each collective in order."""
    clock, free, due = np.zeros(step_times.shape[1]), 0.0, {}
    for step, seconds in enumerate(step_times, start=1):
        clock = np.maximum(clock + seconds, due.pop(step, 0.0))
        for at, cost, slack in collectives:
            if at == step:
                free = max(clock.max(), free) + cost
                if slack:
                    due[step + slack] = free
                else:
                    clock[:] = free
    return float(clock.max())


@pytest.mark.parametrize("lag", [0, 1, 5])
def test_overlap_equals_a_plain_simulation(lag: int) -> None:
    fleet = Fleet(Lognormal(0.6), Links((8000.0,), (0.3,)))
    ledger = ledger_of(("state", 1, 40, 40, 8, lag), ("model", 7, 21, 3, 1000, 0))
    actual = fleet_time(ledger, EvalPoint(40), 4, "star", fleet, 1.0, seed=5)
    samples = fleet.step_time.draw(np.random.default_rng((0xF1EE7, 5)), 40, np.ones(4), 1.0)
    state = [(step, 0.6 + 8 * 16 / 8000, lag) for step in range(1, 41)]
    models = [(step, 0.6 + 8 * 2000 / 8000, 0) for step in (7, 14, 21)]
    assert actual.total == pytest.approx(
        clocks(samples, sorted(state + models, key=lambda item: (item[0], not item[2])))
    )


def test_overlap_hides_the_latency_of_a_state() -> None:
    """A state that takes 0.5 steps and has a slack of one step costs nothing on equal machines."""
    fleet = Fleet(Constant(), Links((math.inf,), (0.25,)))
    slow = fleet_time(every(1, 100), EvalPoint(100), 4, "paper", fleet, 1.0, 0).total
    overlapped = fleet_time(every(1, 100, slack=1), EvalPoint(100), 4, "paper", fleet, 1.0, 0).total
    assert (slow, overlapped) == (pytest.approx(150), pytest.approx(100))


def test_two_sites_use_both_networks_in_sequence() -> None:
    """Six workers in two sites of three: star accounting sends 2,000 bytes a worker in each tier, two messages each."""
    fleet = Fleet(Constant(), Links((8e3,), (0.1,)), sites=2, between=Links((4e3,), (1.0,)))
    actual = fleet_time(every(10, 10, size=1000), EvalPoint(10), 6, "star", fleet, 1.0, 0)
    assert actual.communication == pytest.approx(2 * 0.1 + 2.0 + 2 * 1.0 + 4.0)


def test_with_a_rendezvous_messages_take_two_latencies_but_those_of_short_states_one() -> None:
    """In a ring of three a collective has four messages: 40 states of 8 bytes, the initial model and three syncs."""
    eager, rendezvous = (Fleet(Constant(), Links((math.inf,), (0.1,), rendezvous=value)) for value in (False, True))
    counts = {8: (40 + 4, 40 + 4 * 2), 12: (40 + 4, (40 + 4) * 2)}
    for state_bytes, expected in counts.items():
        ledger = FDA.assign(payload_bytes=FDA["payload_bytes"].replace(8, state_bytes))
        ledger["down_bytes"] = ledger["payload_bytes"]
        actual = [fleet_time(ledger, EvalPoint(40), 3, "ring", fleet, 0.0, 0).total for fleet in (eager, rendezvous)]
        assert actual == [pytest.approx(0.1 * 4 * count) for count in expected]


def test_the_slowest_link_determines_the_time() -> None:
    fast, mixed = (Fleet(Constant(), Links(bandwidths)) for bandwidths in ((8e3,), (8e3, 2e3)))
    actual = [
        fleet_time(every(10, 10, size=1000), EvalPoint(10), 4, "star", fleet, 0.0, 0).total for fleet in (fast, mixed)
    ]
    assert actual == [pytest.approx(2.0), pytest.approx(8.0)]


def test_built_in_fleets_differ() -> None:
    times = {name: fleet_time(FDA, EvalPoint(40), 8, "paper", fleet, 0.01, 0).total for name, fleet in FLEETS.items()}
    assert len(set(times.values())) == len(FLEETS)


SLEEPERS, SLEEPS, MEAN_SLEEP_S = 4, 120, 0.02
JITTER = Fleet(Lognormal(0.6), FREE)


def seconds_of_sleepers(period: int) -> float:
    """Sleep for the drawn times of this rank's steps, with an all-reduce after each period. Returns the seconds."""
    rank, flag = dist.get_rank(), torch.zeros(1)
    seconds_TK = JITTER.step_time.draw(np.random.default_rng((0xF1EE7, 2)), SLEEPS, np.ones(SLEEPERS), MEAN_SLEEP_S)
    dist.barrier()
    start = time.perf_counter()
    for step, seconds in enumerate(seconds_TK[:, rank], start=1):
        time.sleep(seconds)
        if step % period == 0:
            dist.all_reduce(flag)
    return time.perf_counter() - start


@pytest.mark.slow
@pytest.mark.parametrize("period", [1, 10])
def test_processes_that_sleep_take_the_predicted_time(period: int) -> None:
    """Four processes sleep by the law and meet in collectives of gloo; this takes the predicted time within 10 %.

    Other work on the machine only adds to the measured time, so the fastest of up to three runs counts.
    """
    ledger = every(period, SLEEPS)
    predicted = fleet_time(ledger, EvalPoint(SLEEPS), SLEEPERS, "paper", JITTER, MEAN_SLEEP_S, seed=2).total
    fastest = math.inf
    for _ in range(3):
        fastest = min(fastest, max(launch(seconds_of_sleepers, SLEEPERS, period)))
        if fastest <= 1.1 * predicted:
            break
    assert fastest == pytest.approx(predicted, rel=0.1)


def test_a_trace_replaces_the_times_of_steps(tmp_path: Path) -> None:
    path = tmp_path / "trace.parquet"
    pd.DataFrame({"worker": [0, 0, 1], "ms": [10.0, 10.0, 40.0]}).to_parquet(path)
    assert read_trace(path) == Trace(((0.01, 0.01), (0.04,)))
    file = tmp_path / "fleet.toml"
    file.write_text(
        '[[fleet]]\nname = "mine"\nstep = { kind = "trace", path = "trace.parquet" }\nbandwidth_mbps = 100\n'
    )
    fleet = replace(read_fleets(file.as_posix())["mine"], links=FREE)
    assert fleet_time(every(1, 50), EvalPoint(50), 2, "paper", fleet, 123.0, 0).total == pytest.approx(50 * 0.04)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"Worker": [0], "ms": [1.0]}), "the column worker, the index of the worker, from 0, is missing"),
        (pd.DataFrame({"worker": [0], "ms": [-1.0]}), "ms of row 0 is"),
        (pd.DataFrame({"worker": [0, 2], "ms": [1.0, 1.0]}), "worker must be whole numbers 0, 1, ... without gaps"),
        (pd.DataFrame({"worker": np.array([], int), "ms": []}), "the trace has no rows"),
    ],
)
def test_an_invalid_trace_is_refused(frame: pd.DataFrame, message: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.parquet"
    frame.to_parquet(path)
    with pytest.raises(ResultError, match=message) as refused:
        read_trace(path)
    assert str(path) in str(refused.value)


def test_a_damaged_trace_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.parquet"
    path.write_bytes(b"PAR1 but no more")
    with pytest.raises(ResultError, match="no Parquet file that can be read"):
        read_trace(path)


def test_an_invalid_fleet_file_is_reported_with_all_faults(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(
        '[[fleet]]\nname = "a"\nstep = { kind = "paretto" }\nbandwidth_mbps = [100, -20]\n\n'
        '[[fleet]]\nname = "b"\nstep = { kind = "pareto", alpha = 0 }\nbandwidth_mbps = 1\nsite_latency_ms = 3\n'
        '[[fleet]]\nname = "c"\nbandwith_mbps = 1\n'
    )
    with pytest.raises(UsageError) as refused:
        read_fleets(path.as_posix())
    assert str(refused.value).replace(path.as_posix(), "F").splitlines() == [
        'F:3: fleet.0.step: kind "paretto" is unknown; allowed: "constant", "lognormal", "exponential", "pareto", '
        '"trace"; did you mean "pareto"?',
        "F:4: fleet.0.bandwidth_mbps.1: -20 is out of range: it must be more than 0",
        "F:8: fleet.1.step.alpha: 0 is out of range: it must be more than 0",
        "F:11: fleet.2: bandwidth_mbps is missing",
        "F:13: fleet.2.bandwith_mbps: unknown key; allowed: name, step, speeds, bandwidth_mbps, latency_ms, shared, "
        'sites, site_bandwidth_mbps, site_latency_ms, rendezvous; did you mean "bandwidth_mbps"?',
    ]


def test_sites_need_their_links(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text('[[fleet]]\nname = "a"\nbandwidth_mbps = 1\nsites = 2\n')
    with pytest.raises(UsageError, match="sites needs site_bandwidth_mbps"):
        read_fleets(path.as_posix())


def test_an_unknown_fleet_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r'neither a file nor a fleet; fleets: .*; did you mean "devices"?'):
        read_fleets("devces")
