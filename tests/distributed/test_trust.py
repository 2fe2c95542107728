"""Messages between processes are never executed, and sockets listen on the required interfaces only."""

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

import fdabench
from fdabench.distributed.process_group import TorchProcessGroup
from fdabench.distributed.rendezvous import LOOPBACK, Rendezvous, open_local_store
from fdabench.engine.evaluate import EvalMetrics
from fdabench.engine.workers import WorkerGroupState
from fdabench.errors import ProcessLostError
from fdabench.experiment.checkpoint.encoding import StateCodec
from fdabench.experiment.checkpoint.serialize import records_for
from support.launch import launch
from support.suites import SYNCHRONOUS, digits_suite

SUITE = digits_suite([SYNCHRONOUS], name="heard", steps=100_000, every_steps=50_000, targets=None, batch_size=8)


def team_of(rank: int, size: int) -> TorchProcessGroup:
    return TorchProcessGroup(rank, size, codec=StateCodec(records_for([]), torch.device("cpu")))


def crew_of(rank: int) -> WorkerGroupState:
    """Objects of a different size in each process."""
    rows = torch.full((rank + 1, 3), float(rank))
    return WorkerGroupState(
        rows,
        torch.zeros(rank + 1, 0),
        [{"step": torch.tensor(1.0)}] * (rank + 1),
        [{}] * (rank + 1),
        {"residual": rows},
    )


def speak() -> dict[str, Any]:
    """Return the messages that a process receives; runs within `launch`."""
    import torch.distributed as dist

    team = team_of(dist.get_rank(), dist.get_world_size())
    return {
        "told": team.broadcast(lambda: (True, EvalMetrics(0.5, float("inf")), team.rank)),
        "nothing": team.broadcast(lambda: None),
        "gathered": team.gather(crew_of(team.rank)),
        "shown": team.all_gather(f"rank {team.rank} " + "x" * team.rank),
    }


def test_messages_between_processes_arrive_unchanged() -> None:
    first, second = launch(speak, 2)
    for received in (first, second):
        assert received["told"] == (True, EvalMetrics(0.5, float("inf")), 0)
        assert received["nothing"] is None
        assert received["shown"] == ["rank 0 ", "rank 1 x"]
    assert second["gathered"] == []
    for rank, crew in enumerate(first["gathered"]):
        assert isinstance(crew, WorkerGroupState)
        assert torch.equal(crew.w_KD, crew_of(rank).w_KD)
        assert len(crew.optimizer_states) == rank + 1


def hear_a_pickle() -> str:
    """Rank 0 sends a pickle that would run code."""
    import pickle

    import torch.distributed as dist

    class Says(StateCodec):
        def encode(self, value: Any) -> bytes:
            return pickle.dumps(value)

    codec = StateCodec(records_for([]), torch.device("cpu"))
    rank = dist.get_rank()
    team = TorchProcessGroup(rank, 2, codec=Says(*codec) if rank == 0 else codec)
    try:
        team.broadcast(lambda: [1, 2])
    except ProcessLostError as error:
        return str(error)
    return "it was believed"


def test_a_pickle_is_refused() -> None:
    assert all("a message of another rank cannot be decoded" in received for received in launch(hear_a_pickle, 2))


class Listener(NamedTuple):
    """A listening socket in the kernel's table; the address is hexadecimal."""

    address: str
    port: int
    inode: str


IN_LOOPBACK = "0100007F"


def listeners() -> list[Listener]:
    actual = []
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            address, _, port = fields[1].rpartition(":")
            if fields[3] == "0A":
                actual.append(Listener(address, int(port, 16), fields[9]))
    return actual


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="listeners are read from /proc")
def test_a_store_listens_on_the_interface_of_its_address_only() -> None:
    store, meeting = open_local_store(2, 10.0)
    assert meeting.host == LOOPBACK
    assert {item.address for item in listeners() if item.port == meeting.port} == {IN_LOOPBACK}
    meeting.store().set("said", "heard")
    assert store.get("said") == b"heard"


def test_an_address_of_another_machine_is_reported() -> None:
    with pytest.raises(
        ProcessLostError, match=r"no store can be served at 192\.0\.2\.1:29411: .*one of rank 0's interfaces"
    ):
        Rendezvous("192.0.2.1", 29411, "x", 2, 5.0).is_server()


def test_a_port_in_use_is_reported() -> None:
    with socket.create_server((LOOPBACK, 0)) as used:
        port = used.getsockname()[1]
        with pytest.raises(
            ProcessLostError, match=f"no store can be served at {LOOPBACK}:{port}: Address already in use"
        ):
            Rendezvous(LOOPBACK, port, "x", 2, 5.0).is_server()


def inodes_of(root: int) -> set[str]:
    """The inodes of the sockets of a process and its descendants."""
    pids, actual = [root], set()
    while pids:
        pid = pids.pop()
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                pids += map(int, (task / "children").read_text().split())
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                if (target := handle.readlink().name).startswith("socket:["):
                    actual.add(target.removeprefix("socket:[").removesuffix("]"))
        except OSError:
            continue
    return actual


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="listeners are read from /proc")
def test_processes_of_one_machine_listen_on_the_loopback_interface_only(tmp_path: Path) -> None:
    """The store and gloo."""
    (tmp_path / "heard.toml").write_text(SUITE)
    command = [
        sys.executable,
        "-m",
        "fdabench",
        "run",
        "heard.toml",
        "--engine",
        "distributed",
        "--processes",
        "2",
        "-q",
    ]
    here = {"PYTHONPATH": str(Path(fdabench.__file__).parents[1]), "CUDA_VISIBLE_DEVICES": "", "PATH": "/usr/bin:/bin"}
    program = subprocess.Popen(command, cwd=tmp_path, env=here, stderr=subprocess.PIPE, text=True)
    try:
        deadline, addresses = time.monotonic() + 60, []
        while len(addresses) < 3 and program.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
            actual = inodes_of(program.pid)
            addresses = [item.address for item in listeners() if item.inode in actual]
        assert len(addresses) >= 3, "a store, and gloo in two processes"
        assert set(addresses) == {IN_LOOPBACK}
    finally:
        program.terminate()
        program.communicate(timeout=60)
