"""Measures collectives: their time and, by the counters of a network interface, their bytes. It verifies the ledger.

Where an interface is read, two barriers enclose each collective, so that all its bytes arrive between them. The bytes
of empty windows are measured first and subtracted. What remains above the payload is framing: headers and
acknowledgements. If the result is negative, or a counter was reset, the bytes count as not measured. A result below the
payload is kept, because it would contradict the ledger.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

from fdabench.core.ledger import ALL_REDUCE, Ledger, Operation
from fdabench.distributed.process_group import ProcessGroup, Reduction
from fdabench.errors import UsageError

COUNTERS, NAMESPACE = Path("/proc/self/net/dev"), Path("/proc/self/ns/net")
IDLE_CALIBRATION_WINDOWS = 20
EVALUATION = "evaluation"
"""The kind of evaluations, which take time and bytes but do not belong to the method."""


FLAGS = "flags"
"""The kind of the message by which the ranks of a user's loop agree on whether they make another step."""


@dataclass(frozen=True)
class CollectiveTraffic:
    """`count` collectives of one kind up to a step, of one rank or of all."""

    step: int
    kind: str
    count: int
    payload_bytes: int
    """Bytes that one worker contributes to one of them."""
    predicted_bytes: int
    """Bytes over all ranks, as the algorithm of the collective predicts."""
    received_bytes: int | None
    """Bytes by the counter of the interface; None where it is not read or its result is not possible."""
    seconds: float
    """Seconds in the collectives, without the barriers; where there are none, waiting for other ranks is included."""

    def can_merge(self, other: "CollectiveTraffic") -> bool:
        """Kinds of which one row covers all messages between two syncs, because there is one in each step."""
        return self.kind == other.kind and self.kind in ("state", FLAGS) and self.payload_bytes == other.payload_bytes

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
    """Measures the time of each collective, and reads the interface around it if there is one."""

    group: ProcessGroup
    ledger: Ledger
    workers_per_rank: tuple[int, ...]
    """The number of workers of each rank."""
    rows: list[CollectiveTraffic] = field(default_factory=list)
    _idle_bytes: float | None = None

    @contextmanager
    def __call__(self, kind: str, payload_bytes: int, operation: Operation) -> Iterator[None]:
        before = self._before()
        started = perf_counter()
        yield
        seconds = perf_counter() - started
        received = self._received_since(before)
        predicted = expected_wire_bytes(self.group.reduction, operation, payload_bytes, self.workers_per_rank)
        self._append(CollectiveTraffic(self.ledger.step, kind, 1, payload_bytes, predicted, received, seconds))

    def _before(self) -> int:
        """The counter before any rank sends."""
        if not self.group.network_interface:
            return 0
        if self._idle_bytes is None:
            self._idle_bytes = self._idle()
        before = interface_rx_bytes(self.group.network_interface)
        self.group.barrier()
        return before

    def _received_since(self, before: int) -> int | None:
        """The bytes when all ranks have received everything."""
        if not self.group.network_interface:
            return None
        self.group.barrier()
        after = interface_rx_bytes(self.group.network_interface)
        # a narrow counter wraps around, and a replaced interface starts at 0
        return round(after - before - (self._idle_bytes or 0.0)) if after >= before else None

    def _idle(self) -> float:
        """Bytes of a window without a collective."""
        self.group.barrier()
        before = interface_rx_bytes(self.group.network_interface)
        for _ in range(2 * IDLE_CALIBRATION_WINDOWS):
            self.group.barrier()
        return (interface_rx_bytes(self.group.network_interface) - before) / IDLE_CALIBRATION_WINDOWS

    def _append(self, traffic: CollectiveTraffic) -> None:
        if self.rows and self.rows[-1].can_merge(traffic):
            self.rows[-1] += traffic
        else:
            self.rows.append(traffic)

    def gather_all_ranks(self) -> list[CollectiveTraffic]:
        """The rows of all ranks, in rank 0: bytes are summed over interfaces, counted once if ranks share one."""
        interface_key = (
            interface_id(self.group.network_interface) if self.group.network_interface else ("", self.group.rank, "")
        )
        rank_rows = self.group.gather((interface_key, self.rows))
        by_interface = dict(reversed(rank_rows))
        by_collective = zip(*(rows for _, rows in rank_rows), strict=True)
        rows_of_interfaces = zip(*by_interface.values(), strict=True)
        return [
            replace(
                traffic[0],
                received_bytes=_possible(_sum([row.received_bytes for row in counted_rows])),
                seconds=max(row.seconds for row in traffic),
            )
            for traffic, counted_rows in zip(by_collective, rows_of_interfaces, strict=True)
        ]


def _sum(counts: Sequence[int | None]) -> int | None:
    present = [count for count in counts if count is not None]
    return sum(present) if len(present) == len(counts) else None


def _possible(count: int | None) -> int | None:
    """None for a negative number of bytes: other programs sent through the interface in the empty windows."""
    return None if count is None or count < 0 else count


def expected_wire_bytes(
    mean: Reduction, operation: Operation, payload_bytes: int, workers_per_rank: tuple[int, ...]
) -> int:
    """Bytes over all ranks for one collective, without framing.

    `allreduce` sends one partial sum of each rank around a ring twice. `ordered`, and any gather of packed messages,
    sends all rows around once, and each rank sends as many rows as the rank with the most workers.
    """
    processes = len(workers_per_rank)
    if mean == "allreduce" and operation == ALL_REDUCE:
        return 2 * (processes - 1) * payload_bytes
    return processes * (processes - 1) * max(workers_per_rank) * payload_bytes


def interface_rx_bytes(interface: str) -> int:
    """Bytes that the interface has received, by the counter of the kernel in this network namespace.

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
    """An identity of the counter, equal for two processes that read the same one."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    return boot, NAMESPACE.stat().st_ino, interface
