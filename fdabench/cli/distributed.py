"""Cells over several processes: those that `run` starts itself, or those that torchrun has started."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from fdabench.cli.option_values import parse_duration
from fdabench.errors import UsageError
from fdabench.execution.distributed_worker import ComputeConfig, run_follower
from fdabench.execution.plugin_data import hash_plugin_data
from fdabench.execution.preflight import parse_device, parse_engine
from fdabench.execution.shared_data import export_datasets, load_datasets
from fdabench.experiment.distributed_cell import (
    DistributedConfig,
    GroupConfig,
    host_store,
    parse_network_interface,
    parse_reduction,
    rendezvous_from_env,
)
from fdabench.registry.plugin_loading import pack_plugins
from fdabench.suite.reader import LoadedSuite

DISTRIBUTED = "distributed"


class DistributedOptions(NamedTuple):
    """What the command line of `run` says of them."""

    processes: int | None
    mean: str
    timeout: str
    measure_wire: str | None


@dataclass(frozen=True)
class DistributedLaunch:
    """This process among those of a run."""

    plan: DistributedConfig
    store: Any = None
    """Held for as long as the run lasts, where this process is the one to serve it."""

    def config_for_suite(self, index: int) -> DistributedConfig:
        """For the suite at this place of the command line: each has a team of its own."""
        outside = self.plan.external_rendezvous
        if outside is None:
            return self.plan
        return self.plan._replace(external_rendezvous=replace(outside, name=f"{outside.name}/{index}"))


def parse_distributed(engine: str, asked: DistributedOptions) -> DistributedLaunch | None:
    """None where one process holds all workers.

    Raises:
        UsageError: not to be had, or said of a run that is not distributed.
    """
    mean, timeout_s = parse_reduction(asked.mean), parse_duration("--timeout", asked.timeout)
    if engine != DISTRIBUTED:
        told = {"--processes": asked.processes, "--network-interface": asked.measure_wire}
        for option, value in told.items():
            if value is not None:
                raise UsageError(f"{option} {value}: that is for --engine {DISTRIBUTED}")
        return None
    wire = parse_network_interface(asked.measure_wire)
    found = rendezvous_from_env(os.environ, timeout_s)
    if found is None:
        if asked.processes is None:
            raise UsageError(f"--engine {DISTRIBUTED}: say --processes N, or start it with torchrun")
        return DistributedLaunch(DistributedConfig(asked.processes, mean, timeout_s, wire=wire))
    rank, meeting = found
    if asked.processes not in (None, meeting.size):
        raise UsageError(f"--processes {asked.processes}: {meeting.size} have been started; leave it away")
    store = host_store(meeting, rank, os.environ)
    return DistributedLaunch(
        DistributedConfig(meeting.size, mean, timeout_s, meeting, store is not None, wire, rank), store
    )


def run_follower_ranks(
    suites: Sequence[LoadedSuite], team: DistributedLaunch, device: str, threads: int, data_root: Path
) -> None:
    """Do what the process of rank 0 orders, suite by suite. It heeds signals for all, and stops them at one step."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    on = parse_device(device)
    for index, suite in enumerate(suites):
        names = [cell.config.dataset for cell in suite.cells]
        own = hash_plugin_data(names, data_root, suite.registry)
        data = load_datasets(names, data_root, own.registry, own.data)
        with export_datasets(data) as folder:
            del data
            kit = ComputeConfig(folder, on, parse_engine("auto", on), max(1, threads), pack_plugins(own.registry))
            outside = team.config_for_suite(index).external_rendezvous
            if outside is not None:
                run_follower(kit, GroupConfig(outside, team.plan.mean, team.plan.wire), team.plan.rank)
