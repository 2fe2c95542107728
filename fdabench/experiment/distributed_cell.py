"""Distributed cells: several processes hold the workers of one cell.

Rank 0 is the leader; the followers run the cells that it broadcasts. Each rank runs the code of the simulation with the
workers that it holds.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import get_args

import torch

from fdabench.cell_config import CellConfig
from fdabench.datasets.base import DatasetTensors
from fdabench.distributed.coordinator import RankCoordinator
from fdabench.distributed.process_group import Reduction, TorchProcessGroup
from fdabench.distributed.rendezvous import LEADER, Rendezvous
from fdabench.distributed.traffic_meter import interface_rx_bytes
from fdabench.engine.gradients.selection import ENGINES
from fdabench.errors import ProcessLostError, UsageError, WorkloadError, did_you_mean
from fdabench.experiment.checkpoint.encoding import codec_for
from fdabench.experiment.execution_config import DistributedConfig, ExecutionConfig
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.train import CellJob, TrainingResult, train_cells
from fdabench.registry.plugin_errors import failure_of
from fdabench.registry.registry import Registry

CHECK_ENV_VAR = "FDABENCH_CHECK"
"""An environment variable. With 1, all ranks compare each collective with the others before they start it."""


@dataclass(frozen=True)
class RankContext:
    """What one rank trains its part of a cell with.

    It is not part of `ExecutionConfig` because the connection to the other ranks belongs to one process.

    Args:
        member: the connection to the other ranks.
        config: the settings of the run, with the device of this rank.
        registry: the components that cells name.
    """

    member: RankCoordinator
    config: ExecutionConfig
    registry: Registry


def run_as_rank_zero(
    job: CellJob, data: DatasetTensors, rank_context: RankContext, should_stop: Callable[[], bool]
) -> TrainingResult | Exception:
    """Run a cell as the leader.

    Args:
        job: the cell.
        data: its data set, on the device.
        rank_context: of this rank.
        should_stop: returns whether to stop at the next step.

    Returns:
        The result, or the exception that caused the failure, in whichever rank it was raised.
    """
    order = rank_context.member.broadcast_command(
        json.dumps({"config": job.cell.config.to_dict(), "data": _data_hash(job, rank_context)})
    )
    done = _run_command(job, lambda name: data, rank_context, should_stop)
    return rank_context.member.resolve_error(order, done).error if isinstance(done, Exception) else done


def run_as_follower(load: Callable[[str], DatasetTensors], rank_context: RankContext) -> None:
    """Run the cells that the leader broadcasts, until it ends the group.

    Args:
        load: returns a data set by name, on the device.
        rank_context: of this rank.

    Raises:
        ProcessLostError: the group has ended, because a rank was lost or raised an error that the others did not.
    """
    for order, text in rank_context.member.iter_commands():
        command = json.loads(text)
        cell = ResolvedCell(CellConfig.from_table(command["config"]), rank_context.registry)
        done = _run_command(
            CellJob("", cell), partial(_load_same, load, command["data"], rank_context), rank_context, lambda: False
        )
        if isinstance(done, Exception) and not (verdict := rank_context.member.resolve_error(order, done)).can_continue:
            reason = type(done).__name__
            raise ProcessLostError(f"rank {rank_context.member.rank} has ended: {reason}: {verdict.error}") from done


def _data_hash(job: CellJob, rank_context: RankContext) -> str:
    """The hash of the data that a plug-in loaded in this process; empty for built-in data."""
    return rank_context.registry.data_hashes.get(job.cell.config.dataset, "")


def _load_same(
    load: Callable[[str], DatasetTensors], hash_of_leader: str, rank_context: RankContext, name: str
) -> DatasetTensors:
    """Load a data set after comparing the hash of its data with that of rank 0.

    Raises:
        WorkloadError: the plug-in has loaded other data in this process than in rank 0.
    """
    data_hash = rank_context.registry.data_hashes.get(name, "")
    if data_hash != hash_of_leader:
        hashes = f"rank {rank_context.member.rank} has {data_hash or 'none'}, rank 0 has {hash_of_leader or 'none'}"
        raise WorkloadError(f"the data of {name} differ: {hashes}")
    return load(name)


def _run_command(
    job: CellJob, load: Callable[[str], DatasetTensors], rank_context: RankContext, should_stop: Callable[[], bool]
) -> TrainingResult | Exception:
    member, config = rank_context.member, rank_context.config
    try:
        codec = codec_for(job.cell.config, rank_context.registry, config.device)
        process_group = TorchProcessGroup(
            member.rank,
            member.size,
            config.reduction,
            os.environ.get(CHECK_ENV_VAR) == "1",
            config.network_interface,
            codec,
        )
        member.init_process_group(config.device)
        data = load(job.cell.config.dataset)
        (done,) = train_cells([job], data, ENGINES[config.engine], should_stop, process_group)
    except BaseException as error:
        # an error of a plug-in, a cell or a connection is reported to the other ranks
        failure = failure_of(error, rank_context.registry)
        if failure is None:
            raise
        return failure
    return done


def parse_reduction(text: str) -> Reduction:
    """Parse the value of `--reduction`.

    Raises:
        UsageError: there is no such reduction.
    """
    reductions: dict[str, Reduction] = {name: name for name in get_args(Reduction)}
    if text not in reductions:
        raise UsageError(f"--reduction {text}: expected {' or '.join(reductions)}{did_you_mean(text, reductions)}")
    return reductions[text]


def parse_network_interface(interface: str | None) -> str:
    """Check the value of `--network-interface`, and return it; empty if it is not given.

    Raises:
        UsageError: there is no such interface, or its counters cannot be read.
    """
    if interface is not None:
        interface_rx_bytes(interface)
    return interface or ""


def check_devices(device: torch.device, plan: DistributedConfig) -> None:
    """Check that each process that this run starts has its own accelerator.

    Raises:
        UsageError: NCCL refuses two ranks on one CUDA device.
    """
    if device.type == "cuda" and plan.external_rendezvous is None and plan.size > (count := torch.cuda.device_count()):
        raise UsageError(
            f"--processes {plan.size} --device cuda: NCCL needs a CUDA device for each process, and {count} "
            f"{'is' if count == 1 else 'are'} here; give --processes {count}, or --device cpu"
        )


def device_for_rank(device: torch.device, rank: int) -> torch.device:
    """Return the device of a rank. The accelerators of a host are assigned to ranks in turn."""
    return device if device.type == "cpu" else torch.device(device.type, rank % torch.cuda.device_count())


def rendezvous_from_env(environment: Mapping[str, str], timeout_s: float) -> tuple[int, Rendezvous] | None:
    """Read the rank of this process and its rendezvous from the variables that torchrun sets.

    Args:
        environment: the environment variables.
        timeout_s: seconds that ranks wait for each other.

    Returns:
        None if torchrun has not started this process.

    Raises:
        UsageError: some of the variables are missing or are not numbers.
    """
    if "RANK" not in environment:
        return None
    missing = [name for name in ("WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if name not in environment]
    if missing:
        raise UsageError(f"RANK is set and {', '.join(missing)} is not: torchrun sets all of them")
    try:
        rank, size, port = (int(environment[name]) for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"))
    except ValueError as error:
        raise UsageError(f"RANK, WORLD_SIZE and MASTER_PORT must be whole numbers: {error}") from error
    # another name after a restart, because the store still has the keys of the previous group
    name = f"fdabench/{environment.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    return rank, Rendezvous(environment["MASTER_ADDR"], port, name, size, timeout_s)


def host_store(rendezvous: Rendezvous, rank: int, environment: Mapping[str, str]) -> object:
    """Start the store of the rendezvous and return it; None if another process serves it."""
    by_agent = environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return None if by_agent or rank != LEADER else rendezvous.is_server()
