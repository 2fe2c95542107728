"""A cell whose workers are in several processes: one leads, the others do as it says, and the simulation's code runs in
each with the workers that it holds.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, get_args

import torch

from fdabench.catalogue.kinds import Catalogue
from fdabench.catalogue.tried import failure_of
from fdabench.datasets.base import Data
from fdabench.engine.meeting import LEADER, Meeting
from fdabench.engine.member import Member
from fdabench.engine.team import Mean, Processes
from fdabench.engine.wire import received_bytes
from fdabench.engine.workers import Engine
from fdabench.errors import CutOffError, TaskError, UsageError, nearest
from fdabench.run.encoding import codec_for
from fdabench.run.simulate import Job, Simulated, simulate

CHECK = "FDABENCH_CHECK"
"""Set to 1, every process compares with the others what it is about to do."""


class Plan(NamedTuple):
    """The processes of each cell: how many, how they average, and how long they wait for each other."""

    size: int
    mean: Mean
    timeout_s: float
    outside: Meeting | None = None
    """Where those meet that somebody else has started, as torchrun does; without it, a cell's processes are ours."""
    serves: bool = False
    """Whether this process holds the store of that meeting, which nobody else does."""
    wire: str = ""
    """The interface that is read around everything that crosses; empty if none is."""
    rank: int = LEADER
    """Of this process."""

    @property
    def leads(self) -> bool:
        return self.rank == LEADER


class Table(NamedTuple):
    """Where one team meets, and how it averages."""

    meeting: Meeting
    mean: Mean
    wire: str


@dataclass(frozen=True)
class Seat:
    """What one process of a team runs its part of a cell with."""

    member: Member
    mean: Mean
    wire: str
    device: torch.device
    engine: Engine
    catalogue: Catalogue


def lead(job: Job, data: Data, seat: Seat, stop_asked: Callable[[], bool]) -> Simulated | Exception:
    """Run a cell with the others; what it left or what went wrong, here or in another process."""
    order = seat.member.order(json.dumps({"config": job.config, "data": _data_hash(job, seat)}))
    done = _part_of(job, lambda name: data, seat, stop_asked)
    return seat.member.settle(order, done).error if isinstance(done, Exception) else done


def obey(load: Callable[[str], Data], seat: Seat) -> None:
    """Run what the leader orders, until there is nothing more.

    Raises:
        CutOffError: the team is at its end, because processes were lost or one raised what the others did not.
    """
    for order, text in seat.member.orders():
        asked = json.loads(text)
        done = _part_of(Job("", asked["config"]), partial(_same, load, asked["data"], seat), seat, lambda: False)
        if isinstance(done, Exception) and not (verdict := seat.member.settle(order, done)).goes_on:
            told = type(done).__name__
            raise CutOffError(f"rank {seat.member.rank} is at its end: {told}: {verdict.error}") from done


def _data_hash(job: Job, seat: Seat) -> str:
    """Of the data that a plug-in loaded in this process; empty for built-in data."""
    return seat.catalogue.data_hashes.get(job.config["dataset"], "")


def _same(load: Callable[[str], Data], hash_of_leader: str, seat: Seat, name: str) -> Data:
    """
    Raises:
        TaskError: in this process the plug-in has loaded other data than in that of rank 0.
    """
    mine = seat.catalogue.data_hashes.get(name, "")
    if mine != hash_of_leader:
        said = f"rank {seat.member.rank} has {mine or 'none'}, rank 0 has {hash_of_leader or 'none'}"
        raise TaskError(f"the data of {name} differ: {said}")
    return load(name)


def _part_of(
    job: Job, load: Callable[[str], Data], seat: Seat, stop_asked: Callable[[], bool]
) -> Simulated | Exception:
    member = seat.member
    try:
        codec = codec_for(job.config, seat.catalogue, seat.device)
        team = Processes(member.rank, member.size, seat.mean, os.environ.get(CHECK) == "1", seat.wire, codec)
        member.join(seat.device)
        data = load(job.config["dataset"])
        (done,) = simulate([job], data, seat.engine, stop_asked, seat.catalogue, team)
    except BaseException as error:
        # a plug-in's, a cell's or a connection's: the others are told, whatever it is
        failure = failure_of(error, seat.catalogue)
        if failure is None:
            raise
        return failure
    return done


def parse_mean(text: str) -> Mean:
    """
    Raises:
        UsageError: no such way to average.
    """
    known: dict[str, Mean] = {name: name for name in get_args(Mean)}
    if text not in known:
        raise UsageError(f"--mean {text}: expected {' or '.join(known)}{nearest(text, known)}")
    return known[text]


def parse_wire(interface: str | None) -> str:
    """An interface whose counters can be read here; empty if none is asked for.

    Raises:
        UsageError: no such interface, or no counters.
    """
    if interface is not None:
        received_bytes(interface)
    return interface or ""


def check_devices(device: torch.device, plan: Plan) -> None:
    """Whether each process that this run starts has an accelerator of its own.

    Raises:
        UsageError: NCCL refuses two ranks on one CUDA device.
    """
    if device.type == "cuda" and plan.outside is None and plan.size > (count := torch.cuda.device_count()):
        raise UsageError(
            f"--processes {plan.size} --device cuda: NCCL needs a CUDA device for each process, and {count} "
            f"{'is' if count == 1 else 'are'} here: take --processes {count}, or --device cpu"
        )


def own_device(device: torch.device, rank: int) -> torch.device:
    """Accelerators are shared out over the processes of a host."""
    return device if device.type == "cpu" else torch.device(device.type, rank % torch.cuda.device_count())


def from_environment(environment: Mapping[str, str], timeout_s: float) -> tuple[int, Meeting] | None:
    """This process' rank and its team's meeting, as torchrun and its like say it; None where nobody does.

    Raises:
        UsageError: said in part, or not in numbers.
    """
    if "RANK" not in environment:
        return None
    missing = [name for name in ("WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if name not in environment]
    if missing:
        raise UsageError(f"RANK is set and {', '.join(missing)} is not: torchrun sets all of them")
    try:
        rank, size, port = (int(environment[name]) for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"))
    except ValueError as error:
        raise UsageError(f"RANK, WORLD_SIZE and MASTER_PORT are to be whole numbers: {error}") from error
    # what a team that was started again finds in the store is not its own
    name = f"fdabench/{environment.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    return rank, Meeting(environment["MASTER_ADDR"], port, name, size, timeout_s)


def hosted(meeting: Meeting, rank: int, environment: Mapping[str, str]) -> Any:
    """The meeting's store, if nobody but this process is there to serve it."""
    by_agent = environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return None if by_agent or rank != LEADER else meeting.served()
