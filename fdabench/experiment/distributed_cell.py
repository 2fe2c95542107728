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

from fdabench.cell_config import CellConfig
from fdabench.datasets.base import DatasetTensors
from fdabench.distributed.coordinator import RankCoordinator
from fdabench.distributed.process_group import Reduction, TorchProcessGroup
from fdabench.distributed.rendezvous import LEADER, Rendezvous
from fdabench.distributed.traffic_meter import interface_rx_bytes
from fdabench.engine.workers import GradientFnFactory
from fdabench.errors import ProcessLostError, UsageError, WorkloadError, did_you_mean
from fdabench.experiment.checkpoint.encoding import codec_for
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.train import CellJob, TrainingResult, train_cells
from fdabench.registry.plugin_errors import failure_of
from fdabench.registry.registry import Registry

CHECK_ENV_VAR = "FDABENCH_CHECK"
"""Set to 1, every process compares with the others what it is about to do."""


class DistributedConfig(NamedTuple):
    """The processes of each cell: how many, how they average, and how long they wait for each other."""

    size: int
    mean: Reduction
    timeout_s: float
    external_rendezvous: Rendezvous | None = None
    """Where those meet that somebody else has started, as torchrun does; without it, a cell's processes are ours."""
    hosts_store: bool = False
    """Whether this process holds the store of that meeting, which nobody else does."""
    wire: str = ""
    """The interface that is read around everything that crosses; empty if none is."""
    rank: int = LEADER
    """Of this process."""

    @property
    def is_rank_zero(self) -> bool:
        return self.rank == LEADER


class GroupConfig(NamedTuple):
    """Where one team meets, and how it averages."""

    meeting: Rendezvous
    mean: Reduction
    wire: str


@dataclass(frozen=True)
class RankContext:
    """What one process of a team runs its part of a cell with."""

    member: RankCoordinator
    mean: Reduction
    wire: str
    device: torch.device
    engine: GradientFnFactory
    registry: Registry


def run_as_rank_zero(
    job: CellJob, data: DatasetTensors, seat: RankContext, stop_asked: Callable[[], bool]
) -> TrainingResult | Exception:
    """Run a cell with the others; what it left or what went wrong, here or in another process."""
    order = seat.member.broadcast_command(
        json.dumps({"config": job.cell.config.to_dict(), "data": _data_hash(job, seat)})
    )
    done = _run_command(job, lambda name: data, seat, stop_asked)
    return seat.member.resolve_error(order, done).error if isinstance(done, Exception) else done


def run_as_follower(load: Callable[[str], DatasetTensors], seat: RankContext) -> None:
    """Run what the leader orders, until there is nothing more.

    Raises:
        ProcessLostError: the team is at its end, because processes were lost or one raised what the others did not.
    """
    for order, text in seat.member.iter_commands():
        asked = json.loads(text)
        cell = ResolvedCell(CellConfig.from_table(asked["config"]), seat.registry)
        done = _run_command(CellJob("", cell), partial(_same, load, asked["data"], seat), seat, lambda: False)
        if isinstance(done, Exception) and not (verdict := seat.member.resolve_error(order, done)).can_continue:
            told = type(done).__name__
            raise ProcessLostError(f"rank {seat.member.rank} is at its end: {told}: {verdict.error}") from done


def _data_hash(job: CellJob, seat: RankContext) -> str:
    """Of the data that a plug-in loaded in this process; empty for built-in data."""
    return seat.registry.data_hashes.get(job.cell.config.dataset, "")


def _same(load: Callable[[str], DatasetTensors], hash_of_leader: str, seat: RankContext, name: str) -> DatasetTensors:
    """
    Raises:
        WorkloadError: in this process the plug-in has loaded other data than in that of rank 0.
    """
    mine = seat.registry.data_hashes.get(name, "")
    if mine != hash_of_leader:
        said = f"rank {seat.member.rank} has {mine or 'none'}, rank 0 has {hash_of_leader or 'none'}"
        raise WorkloadError(f"the data of {name} differ: {said}")
    return load(name)


def _run_command(
    job: CellJob, load: Callable[[str], DatasetTensors], seat: RankContext, stop_asked: Callable[[], bool]
) -> TrainingResult | Exception:
    member = seat.member
    try:
        codec = codec_for(job.cell.config, seat.registry, seat.device)
        team = TorchProcessGroup(
            member.rank, member.size, seat.mean, os.environ.get(CHECK_ENV_VAR) == "1", seat.wire, codec
        )
        member.init_process_group(seat.device)
        data = load(job.cell.config.dataset)
        (done,) = train_cells([job], data, seat.engine, stop_asked, team)
    except BaseException as error:
        # a plug-in's, a cell's or a connection's: the others are told, whatever it is
        failure = failure_of(error, seat.registry)
        if failure is None:
            raise
        return failure
    return done


def parse_reduction(text: str) -> Reduction:
    """
    Raises:
        UsageError: no such way to average.
    """
    known: dict[str, Reduction] = {name: name for name in get_args(Reduction)}
    if text not in known:
        raise UsageError(f"--reduction {text}: expected {' or '.join(known)}{did_you_mean(text, known)}")
    return known[text]


def parse_network_interface(interface: str | None) -> str:
    """An interface whose counters can be read here; empty if none is asked for.

    Raises:
        UsageError: no such interface, or no counters.
    """
    if interface is not None:
        interface_rx_bytes(interface)
    return interface or ""


def check_devices(device: torch.device, plan: DistributedConfig) -> None:
    """Whether each process that this run starts has an accelerator of its own.

    Raises:
        UsageError: NCCL refuses two ranks on one CUDA device.
    """
    if device.type == "cuda" and plan.external_rendezvous is None and plan.size > (count := torch.cuda.device_count()):
        raise UsageError(
            f"--processes {plan.size} --device cuda: NCCL needs a CUDA device for each process, and {count} "
            f"{'is' if count == 1 else 'are'} here: take --processes {count}, or --device cpu"
        )


def device_for_rank(device: torch.device, rank: int) -> torch.device:
    """Accelerators are shared out over the processes of a host."""
    return device if device.type == "cpu" else torch.device(device.type, rank % torch.cuda.device_count())


def rendezvous_from_env(environment: Mapping[str, str], timeout_s: float) -> tuple[int, Rendezvous] | None:
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
    return rank, Rendezvous(environment["MASTER_ADDR"], port, name, size, timeout_s)


def host_store(meeting: Rendezvous, rank: int, environment: Mapping[str, str]) -> Any:
    """The meeting's store, if nobody but this process is there to serve it."""
    by_agent = environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return None if by_agent or rank != LEADER else meeting.is_server()
