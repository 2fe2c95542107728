"""Computes how long a run would take on a fleet of unequal machines from its ledger, without running it again.

A fleet says how long local steps take, how they vary, and which links join the workers. The machines in a data center
are a fleet, and so are a thousand phones.

The clock of each worker advances by its step times. A collective begins when the last worker has arrived, and it ends
for all workers at the same time: it is a barrier. So a strategy that communicates at every step waits at every step for
the slowest worker, whatever the number of its bytes. A collective with `slack` n (FDA with `lag = n`) overlaps the next
n local steps: workers wait for its result only at the end of the n-th step. Collectives pass through the links one
after the other.

The model has limits. Step times are independent: a machine that is slow for an hour is not modeled, except by its
speed. Every worker takes part in every collective. Nothing overlaps except what has slack.

Shape suffixes: T = local steps, K = workers.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from fdabench.accounting.arrays import Floats
from fdabench.accounting.costs import EvalPoint, collective_costs, counts_up_to
from fdabench.accounting.network_time import sequential_messages
from fdabench.accounting.step_time import Exponential, Lognormal, StepTime, worker_speeds

_BLOCK = 1 << 18
"""Step times that are drawn at once. A longer run needs no more memory."""
_STREAM = 0xF1EE7
"""Separates these random numbers from others of the same seed."""
EAGER_BYTES = 8
"""The largest payload whose receivers have announced their buffers before the message arrives (`Links.rendezvous`)."""


@dataclass(frozen=True)
class Links:
    """The links of workers, or of the sites of a fleet.

    Args:
        bandwidths: bits per second. Worker k has `bandwidths[k % len(bandwidths)]`.
        latencies: seconds for one way, likewise.
        shared: whether all bytes pass through one channel, one worker after the other.
        rendezvous: whether a sender waits until the receiver has announced a buffer, as gloo and the rendezvous
            protocol of MPI do. A message then takes two latencies.
    """

    bandwidths: tuple[float, ...]
    latencies: tuple[float, ...] = (0.0,)
    shared: bool = False
    rendezvous: bool = False

    def num_latencies(self, messages: int, payload_bytes: int) -> int:
        """Return the number of latencies that a collective takes.

        With `rendezvous` it is two for each message, but one if the payload has at most `EAGER_BYTES`. gloo cuts a
        larger tensor into a block for each worker, and every worker announces a buffer when it needs the next block. A
        tensor of up to two floats is one block, which passes from worker to worker. Each has announced its buffer
        before the block arrives.

        Args:
            messages: messages that wait for each other.
            payload_bytes: the bytes that one worker contributes.
        """
        return 2 * messages if self.rendezvous and payload_bytes > EAGER_BYTES else messages

    def seconds(self, wire_bytes: int, latencies: int, workers: int) -> float:
        """Return the seconds of a collective: the slowest link and the longest latency decide.

        Args:
            wire_bytes: bytes over all workers.
            latencies: the number of latencies, from `num_latencies`.
            workers: the number of workers that the links join.
        """
        used = min(workers, len(self.bandwidths))
        slowest, longest = min(self.bandwidths[:used]), max(self.latencies[:workers])
        per_worker = wire_bytes if self.shared else wire_bytes / workers
        return latencies * longest + 8 * per_worker / slowest


@dataclass(frozen=True)
class Fleet:
    """Machines and the links between them.

    Args:
        step_time: the law of step times.
        speeds: the speed of each worker; empty: all have speed 1.
        links: the links of the workers; those within a site if there are sites.
        sites: the number of sites that the workers are evenly divided into. A collective then takes place within each
            site first and between the sites after that. 1: there is one site.
        between: the links between sites.
        about: one line for `fdabench list fleets`.
    """

    step_time: StepTime
    links: Links
    speeds: tuple[float, ...] = ()
    sites: int = 1
    between: Links | None = None
    about: str = ""

    def tiers(self, workers: int) -> list[tuple[Links, int]]:
        """Return the links that a collective passes one after the other, and how many members each joins.

        With links between sites, those that join one member are left out. Without them there is always one tier.

        Args:
            workers: K.
        """
        within = (self.links, math.ceil(workers / self.sites))
        if self.between is None:
            return [within]
        return [tier for tier in (within, (self.between, min(self.sites, workers))) if tier[1] > 1]


class FleetTime(NamedTuple):
    """The time of a run on a fleet, in seconds."""

    total: float
    compute: float
    """The mean over workers of the time that they compute."""
    communication: float
    """The time of all collectives, whether or not it overlaps computation."""

    @property
    def waiting(self) -> float:
        """The mean time that a worker waits: neither does it compute nor is a collective under way.

        It is negative if collectives overlap more computation than there is waiting.
        """
        return self.total - self.compute - self.communication


def fleet_time(
    ledger: pd.DataFrame, instant: EvalPoint, workers: int, convention: str, fleet: Fleet, step_s: float, seed: int
) -> FleetTime:
    """Return the time of a cell up to an evaluation.

    Args:
        ledger: the cell's ledger.
        instant: the evaluation.
        workers: K.
        convention: a key of `accounting.costs.CONVENTIONS`.
        fleet: the machines.
        step_s: the mean seconds of a local step at speed 1.
        seed: of the step times. They depend on nothing else, so all strategies meet the same slow steps.
    """
    schedule = _schedule(ledger, instant, workers, convention, fleet)
    segments = segment_times(fleet, workers, schedule.edges(), step_s, seed)
    total, compute = _with_overlap(schedule, segments) if schedule.overlapping else _barriers_only(schedule, segments)
    return FleetTime(total, compute, schedule.communication)


class _Schedule(NamedTuple):
    """The collectives of a cell by the local step after which they begin."""

    last_step: int
    barriers: Mapping[int, float]
    """The seconds of the collectives whose result the next step needs."""
    overlapping: Mapping[int, Sequence[tuple[float, int]]]
    """The seconds of each other collective, and the step at whose end its result is needed."""

    def edges(self) -> list[int]:
        """The steps after which workers do anything but go on, in order; the last step is one of them."""
        due = {step for collectives in self.overlapping.values() for _, step in collectives}
        every = {*self.barriers, *self.overlapping, *due, self.last_step}
        return sorted(step for step in every if 0 < step <= self.last_step)

    @property
    def communication(self) -> float:
        overlapping = (seconds for collectives in self.overlapping.values() for seconds, _ in collectives)
        return math.fsum(self.barriers.values()) + math.fsum(overlapping)


def _schedule(ledger: pd.DataFrame, instant: EvalPoint, workers: int, convention: str, fleet: Fleet) -> _Schedule:
    barriers: dict[int, float] = {}
    overlapping: dict[int, list[tuple[float, int]]] = {}
    counts = counts_up_to(ledger, instant)
    seconds_of_rows = _collective_seconds(ledger, workers, convention, fleet)
    columns = (ledger[name] for name in ("first_step", "last_step", "count", "slack"))
    for first, last, count, slack, done, seconds in zip(*columns, counts, seconds_of_rows, strict=True):
        stride = int(max((last - first) // max(count - 1, 1), 1))
        for step in range(int(first), int(first) + int(done) * stride, stride):
            if slack > 0:
                overlapping.setdefault(step, []).append((seconds, step + int(slack)))
            else:
                barriers[step] = barriers.get(step, 0.0) + seconds
    return _Schedule(instant.step, barriers, overlapping)


def _collective_seconds(ledger: pd.DataFrame, workers: int, convention: str, fleet: Fleet) -> list[float]:
    """The seconds of one collective of each row of the ledger."""
    seconds = [0.0] * len(ledger)
    payloads = ledger[["payload_bytes", "down_bytes"]].max(axis="columns")
    for links, num_participants in fleet.tiers(workers):
        messages = sequential_messages(convention, num_participants)
        costs = collective_costs(ledger, num_participants, convention)
        seconds = [
            before + links.seconds(cost, links.num_latencies(messages, payload), num_participants)
            for before, cost, payload in zip(seconds, costs, payloads, strict=True)
        ]
    return seconds


def segment_times(fleet: Fleet, workers: int, edges: Sequence[int], step_s: float, seed: int) -> Iterator[Floats]:
    """Yield the seconds that each worker computes between an edge and the next, shape [segments, K], in parts.

    Args:
        fleet: the machines.
        workers: K.
        edges: the steps that end a segment, in ascending order, at least 1.
        step_s: the mean seconds of a local step at speed 1.
        seed: of the step times.
    """
    speed_K = worker_speeds(fleet.speeds, workers)
    rng = np.random.default_rng((_STREAM, seed))
    steps_in_block = max(_BLOCK // workers, 1)
    ends, carried_K, first = np.asarray(edges, dtype=np.int64), np.zeros(workers), 0
    while len(ends):
        steps = min(steps_in_block, int(ends[-1]) - first)
        seconds_TK = fleet.step_time.draw(rng, steps, speed_K, step_s)
        inside = ends[ends <= first + steps]
        starts = np.concatenate(([0], inside - first))
        sums = np.add.reduceat(seconds_TK, starts[starts < steps], axis=0)
        sums[0] += carried_K
        yield sums[: len(inside)]
        carried_K = sums[len(inside)] if len(sums) > len(inside) else np.zeros(workers)
        ends, first = ends[len(inside) :], first + steps


def _barriers_only(schedule: _Schedule, segments: Iterator[Floats]) -> tuple[float, float]:
    """The total and the mean computing time if every edge is a barrier: the slowest worker of each segment counts."""
    slowest, computed = 0.0, 0.0
    for seconds_SK in segments:
        slowest += float(seconds_SK.max(axis=1).sum())
        computed += float(seconds_SK.mean(axis=1).sum())
    return slowest + schedule.communication, computed


def _with_overlap(schedule: _Schedule, segments: Iterator[Floats]) -> tuple[float, float]:
    """The same if results of collectives arrive while the workers go on."""
    links_free = clock = schedule.barriers.get(0, 0.0)
    clock_K: Floats | float = clock
    arrivals: dict[int, float] = {}
    computed = 0.0
    edges = iter(schedule.edges())
    for seconds_SK in segments:
        computed += float(seconds_SK.mean(axis=1).sum())
        for seconds_K in seconds_SK:
            step = next(edges)
            clock_K = np.maximum(clock_K + seconds_K, arrivals.pop(step, 0.0))
            for seconds, due in schedule.overlapping.get(step, ()):
                links_free = max(float(np.max(clock_K)), links_free) + seconds
                arrivals[due] = links_free
            if step in schedule.barriers:
                links_free = max(float(np.max(clock_K)), links_free) + schedule.barriers[step]
                clock_K = np.full_like(clock_K, links_free)
    return float(np.max(clock_K)), computed


_DATACENTER = Links((10e9,), (50e-6,))

FLEETS: Mapping[str, Fleet] = {
    "cluster": Fleet(Lognormal(0.1), _DATACENTER, about="equal machines, sigma 0.1; 10 Gbit/s, 50 us one way"),
    "two-sites": Fleet(
        Lognormal(0.1),
        _DATACENTER,
        sites=2,
        between=Links((1e9,), (40e-3,)),
        about="two data centers like `cluster`, joined by 1 Gbit/s, 40 ms one way",
    ),
    "mixed": Fleet(
        Lognormal(0.3),
        Links((1e9,), (1e-3,)),
        speeds=(1.0, 1.0, 1.0, 0.5),
        about="every fourth machine has half the speed, sigma 0.3; 1 Gbit/s, 1 ms one way",
    ),
    "devices": Fleet(
        Lognormal(0.6),
        Links((100e6,), (40e-3,)),
        about="sigma 0.6 as FedScale's devices have it; 100 Mbit/s, 40 ms one way",
    ),
    "memoryless": Fleet(Exponential(), _DATACENTER, about="exponential step times; 10 Gbit/s, 50 us one way"),
}
"""Built-in fleets, by name. Only the sigma of `devices` is from a publication (FedScale: Lai et al., 2022)."""
