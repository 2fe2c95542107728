"""How long workers averaged and, by an interface's own counters, what it carried: the ledger is a claim, and this the
evidence.

Where an interface is read, two barriers enclose every window, so that what belongs to a collective arrives within it;
what empty windows carry is measured first and taken off. What remains above the payload is framing: headers and
acknowledgements. Where less than nothing remains, or a counter went back, nothing was measured. A count below the
payload stays: it is what would contradict the ledger.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

from fdabench.core.ledger import Ledger
from fdabench.distributed.process_group import ProcessGroup, Reduction
from fdabench.errors import UsageError

COUNTERS, NAMESPACE = Path("/proc/self/net/dev"), Path("/proc/self/ns/net")
IDLE_CALIBRATION_WINDOWS = 20
EVALUATION = "evaluation"
"""Of what is measured and not a part of the method: it takes time and bytes, and nobody pays for it."""


@dataclass(frozen=True)
class CollectiveTraffic:
    """`count` collectives of one kind up to a step, as one process saw them, or all of them together."""

    step: int
    kind: str
    count: int
    payload_bytes: int
    """That one worker put into one of them."""
    predicted_bytes: int
    """Over all processes, by the algorithm of the collective."""
    received_bytes: int | None
    """By the interface's counter; None where it is not read, or where what it said cannot be."""
    seconds: float
    """In the collectives, without the barriers, but with the wait for the others where there are none."""

    def can_merge(self, other: "CollectiveTraffic") -> bool:
        """States are told of once between two syncs: there is one in every step."""
        return self.kind == other.kind == "state" and self.payload_bytes == other.payload_bytes

    def __add__(self, other: "CollectiveTraffic") -> "CollectiveTraffic":
        return replace(
            other,
            count=self.count + other.count,
            predicted_bytes=self.predicted_bytes + other.predicted_bytes,
            received_bytes=_sum([self.received_bytes, other.received_bytes]),
            seconds=self.seconds + other.seconds,
        )


@dataclass
class TrafficMeter:
    """Times everything that crosses, and reads the team's interface around it if there is one to read."""

    team: ProcessGroup
    ledger: Ledger
    held: tuple[int, ...]
    """Workers of each process."""
    rows: list[CollectiveTraffic] = field(default_factory=list)
    _idle_bytes: float | None = None

    @contextmanager
    def __call__(self, kind: str, payload_bytes: int) -> Iterator[None]:
        before = self._before()
        begun = perf_counter()
        yield
        seconds = perf_counter() - begun
        received = self._received_since(before)
        predicted = expected_wire_bytes(self.team.reduction, payload_bytes, self.held)
        self._note(CollectiveTraffic(self.ledger.step, kind, 1, payload_bytes, predicted, received, seconds))

    def _before(self) -> int:
        """The counter, before anybody sends."""
        if not self.team.network_interface:
            return 0
        if self._idle_bytes is None:
            self._idle_bytes = self._idle()
        before = interface_rx_bytes(self.team.network_interface)
        self.team.barrier()
        return before

    def _received_since(self, before: int) -> int | None:
        """When everybody has all that was sent."""
        if not self.team.network_interface:
            return None
        self.team.barrier()
        after = interface_rx_bytes(self.team.network_interface)
        # counters begin again where they are narrow, or where an interface was replaced
        return round(after - before - (self._idle_bytes or 0.0)) if after >= before else None

    def _idle(self) -> float:
        """Bytes of an empty window."""
        self.team.barrier()
        before = interface_rx_bytes(self.team.network_interface)
        for _ in range(2 * IDLE_CALIBRATION_WINDOWS):
            self.team.barrier()
        return (interface_rx_bytes(self.team.network_interface) - before) / IDLE_CALIBRATION_WINDOWS

    def _note(self, crossed: CollectiveTraffic) -> None:
        if self.rows and self.rows[-1].can_merge(crossed):
            self.rows[-1] += crossed
        else:
            self.rows.append(crossed)

    def gather_all_ranks(self) -> list[CollectiveTraffic]:
        """Of all processes, in rank 0: bytes are summed over the interfaces, of which processes may share one."""
        place = interface_id(self.team.network_interface) if self.team.network_interface else ("", self.team.rank, "")
        seen = self.team.gather((place, self.rows))
        by_interface = dict(reversed(seen))
        alike = zip(*(rows for _, rows in seen), strict=True)
        bytes_of = zip(*by_interface.values(), strict=True)
        return [
            replace(
                each[0],
                received_bytes=_possible(_sum([row.received_bytes for row in apart])),
                seconds=max(row.seconds for row in each),
            )
            for each, apart in zip(alike, bytes_of, strict=True)
        ]


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _possible(count: int | None) -> int | None:
    """Nothing is measured where less than nothing crossed: the empty windows carried what belongs to other programs."""
    return None if count is None or count < 0 else count


def expected_wire_bytes(mean: Reduction, payload_bytes: int, held: tuple[int, ...]) -> int:
    """Bytes over all processes for one average of a payload, without framing.

    `allreduce` goes around a ring twice with one partial sum of each process; `ordered` goes around once with all rows,
    of which each process sends as many as the one that holds most.
    """
    processes = len(held)
    if mean == "allreduce":
        return 2 * (processes - 1) * payload_bytes
    return processes * (processes - 1) * max(held) * payload_bytes


def interface_rx_bytes(interface: str) -> int:
    """Since the interface is there, by the kernel's counter of this process' network namespace.

    Raises:
        UsageError: no such counter here.
    """
    try:
        lines = COUNTERS.read_text().splitlines()[2:]
    except OSError as error:
        raise UsageError(f"--network-interface: this system has no {COUNTERS}: {error.strerror}") from error
    counters = {name.strip(): numbers.split() for name, _, numbers in (line.partition(":") for line in lines)}
    if interface not in counters:
        raise UsageError(
            f"--network-interface {interface}: no such interface here; there are {', '.join(sorted(counters))}"
        )
    return int(counters[interface][0])


def interface_id(interface: str) -> tuple[str, int, str]:
    """Equal for two processes that read the same counter."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    return boot, NAMESPACE.stat().st_ino, interface
