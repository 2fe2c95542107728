"""The ledger against the counters of network interfaces without other traffic."""

import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pandas as pd
import pytest

import fdabench
from fdabench.accounting.costs import CONVENTIONS, Message, total_bytes
from fdabench.core.ledger import Ledger
from fdabench.distributed import traffic_meter as wire
from fdabench.distributed.traffic_meter import expected_wire_bytes
from fdabench.results.folder import ResultsFolder
from support.launch import wait_until
from support.suites import digits_suite, linear_fda

sys.path.insert(0, str(Path(fdabench.__file__).parents[1] / "benchmarks"))

from namespaces import INTERFACE, Hosts, hosts, stop_all

SUITE = """
name = "wired"
plugins = ["wide.py"]
[budget]
steps = 8
[eval]
every_steps = 8
targets = [0.3]
[[workload]]
dataset = "digits"
model = "wide"
workers = {workers}
batch_size = 8
optimizer = {{ kind = "adam", lr = 1e-2 }}
partition = "iid"
[[strategy]]
kind = "synchronous"
[[strategy]]
kind = "fedavg"
local_steps = 4
[[strategy]]
kind = "fedadam"
local_steps = 4
[[strategy]]
kind = "fda"
monitor = ["naive", "linear", "sketch", "exact"]
theta = 0.05
"""
WIDE = """
from torch import nn

from fdabench.models.base import ModelSpec, Flatten


def build(shape, classes):
    return nn.Sequential(Flatten(), nn.Linear(64, 4000), nn.ReLU(), nn.Linear(4000, classes))


MODELS = {"wide": ModelSpec(build, None, "300,010 parameters: 1.2 MB")}
"""


@pytest.fixture(scope="module")
def two_hosts() -> Iterator[Hosts]:
    try:
        with hosts(2) as made:
            yield made
    except PermissionError as error:
        pytest.skip(f"no network namespaces here: {error}")


def run_on(made: Hosts, folder: Path, workers: int, mean: str) -> ResultsFolder:
    (folder / "wide.py").write_text(WIDE)
    (folder / "wired.toml").write_text(SUITE.format(workers=workers))
    arguments = ("--engine", "distributed", "--reduction", mean, "--network-interface", INTERFACE, "-q")
    made.run(["fdabench", "run", "wired.toml", "-o", "results", *arguments], folder, 240)
    return ResultsFolder(folder / "results")


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "mean"), [(2, "allreduce"), (3, "ordered")])
def test_the_counters_agree_with_the_ledger(two_hosts: Hosts, tmp_path: Path, workers: int, mean: str) -> None:
    store = run_on(two_hosts, tmp_path, workers, mean)
    for cell in store.read_lock().cell:
        table, ledger = store.read_traffic(cell.id), store.read_cell_table(cell.id, "ledger").to_pandas()
        assert table is not None
        visited = table.to_pandas().query("kind != 'evaluation'")
        counted = ledger[ledger["kind"] != "initial"].groupby("kind")["count"].sum()
        pd.testing.assert_series_equal(visited.groupby("kind")["count"].sum(), counted)
        large = visited[visited["payload_bytes"] > 1e6]
        assert len(large)
        assert large["received_bytes"].sum() == pytest.approx(large["predicted_bytes"].sum(), rel=0.01), cell.label
        if mean == "allreduce":
            # one worker in each process: what is predicted is the ledger, read as `ring` does
            ring = total_bytes(ledger[ledger["kind"] == "model"], workers, "ring").total
            assert visited[visited["kind"] == "model"]["predicted_bytes"].sum() == ring


PACKED = """
name = "packed"
plugins = ["wide.py"]
[budget]
steps = 2
[eval]
every_steps = 2
targets = [0.3]
[[workload]]
dataset = "digits"
model = "wide"
workers = 2
batch_size = 8
optimizer = { kind = "sgd", lr = 1e-2 }
partition = "iid"
[[strategy]]
kind = "fedavg"
local_steps = 2
codec = "int8"
[[strategy]]
kind = "fedavg"
local_steps = 2
codec = { kind = "topk", share = 0.2 }
feedback = 1.0
"""


@pytest.mark.slow
def test_the_counters_agree_with_the_size_of_packed_messages(two_hosts: Hosts, tmp_path: Path) -> None:
    (tmp_path / "wide.py").write_text(WIDE.replace("4000", "20000"))
    (tmp_path / "packed.toml").write_text(PACKED)
    arguments = ("--engine", "distributed", "--network-interface", INTERFACE, "-q")
    two_hosts.run(["fdabench", "run", "packed.toml", "-o", "results", *arguments], tmp_path, 240)
    store = ResultsFolder(tmp_path / "results")
    for cell in store.read_lock().cell:
        traffic, ledger = store.read_traffic(cell.id), store.read_cell_table(cell.id, "ledger").to_pandas()
        assert traffic is not None
        (message,) = traffic.to_pandas().query("kind == 'model'").to_dict("records")
        assert message["payload_bytes"] == ledger.loc[ledger["kind"] == "model", "payload_bytes"].item() > 1e6
        assert message["received_bytes"] == pytest.approx(2 * message["payload_bytes"], rel=0.01), cell.label


def test_the_expected_bytes_of_each_collective_algorithm() -> None:
    """Four processes, one of which holds two workers; a ring's chunks make the payload twice round, less one hop."""
    assert expected_wire_bytes("allreduce", "all_reduce", 1000, (2, 1, 1, 1)) == 2 * 3 * 1000
    assert expected_wire_bytes("ordered", "all_reduce", 1000, (2, 1, 1, 1)) == 4 * 3 * 2 * 1000
    assert expected_wire_bytes("allreduce", "all_reduce", 1000, (1,) * 7) == CONVENTIONS["ring"]["model"](
        Message(1000, 1000), 7
    )
    assert expected_wire_bytes("ordered", "all_reduce", 1000, (5,)) == 0
    packed = CONVENTIONS["ring"]["model"](Message(1000, 6000, "all_gather"), 7)
    assert expected_wire_bytes("allreduce", "all_gather", 1000, (1,) * 7) == packed == 7 * 6 * 1000


class OneProcess:
    """A process group of one process that reads an interface."""

    network_interface, rank, reduction = "lo", 0, "allreduce"

    def barrier(self) -> None:
        pass

    def gather(self, value: object) -> list[object]:
        return [value]


@pytest.mark.parametrize(
    ("idle", "readings", "received"),
    [
        (0, [1000, 1800], 800),
        (400, [1000, 1800], 780),
        # other programs were there in the empty windows, and left
        (20_000, [1000, 1800], None),
        # a counter that began again
        (0, [1000, 10], None),
        # less than the payload is evidence against the ledger
        (0, [1000, 1001], 1),
    ],
)
def test_negative_differences_of_counters_are_not_measurements(
    monkeypatch: pytest.MonkeyPatch, idle: int, readings: list[int], received: int | None
) -> None:
    counted = iter([0, idle, *readings])
    monkeypatch.setattr(wire, "interface_rx_bytes", lambda interface: next(counted))
    watched = wire.TrafficMeter(OneProcess(), Ledger(), (1,))  # type: ignore[arg-type]
    with watched("model", 500, "all_reduce"):
        pass
    (row,) = watched.gather_all_ranks()
    assert row.received_bytes == received
    assert list(counted) == []


LONG = digits_suite(
    [linear_fda(0.3)],
    name="cut",
    steps=100_000,
    every_steps=50_000,
    targets=[0.3],
    workers=3,
    batch_size=8,
    workload='partition = "iid"',
)


@pytest.mark.slow
def test_a_disconnected_host_is_named_and_no_process_waits_forever(tmp_path: Path) -> None:
    (tmp_path / "cut.toml").write_text(LONG)
    arguments = ("fdabench", "run", "cut.toml", "-o", "results", "--engine", "distributed", "--timeout", "5s")
    try:
        with hosts(3) as made:
            processes = made.start([*arguments, "--checkpoint-every", "1s", "-q"], tmp_path)
            try:
                wait_until(lambda: any((tmp_path / "results").glob("cells/*/checkpoint.pt")))
                made.disconnect(2)
                start = monotonic()
                # not `run`, which would stop the other processes when the first one ends
                codes = [process.popen.wait(60) for process in processes]
            finally:
                stop_all(processes)
    except PermissionError as error:
        pytest.skip(f"no network namespaces here: {error}")
    assert codes == [3, 3, 3], "\n".join(process.output.read_text("utf-8") for process in processes)
    assert monotonic() - start < 60
    store = ResultsFolder(tmp_path / "results")
    record = store.read_record(store.read_lock().cell[0].id)
    assert record is not None
    assert record.state == "lost"
    assert "no report from rank 2 of 3" in record.error
