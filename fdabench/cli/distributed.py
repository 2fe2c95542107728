"""Distributed cells of `fdabench run`: several processes share the workers of each cell.

`run` starts the processes itself, or torchrun has started them. Under torchrun, rank 0 runs the suites and the other
ranks call `run_follower_ranks`.
"""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

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
    """The options of `run` for distributed cells, as they are on the command line."""

    processes: int | None
    reduction: str
    timeout: str
    network_interface: str | None


@dataclass(frozen=True)
class DistributedLaunch:
    """The process group of a run, as this process is part of it."""

    config: DistributedConfig
    store: object = None
    """The store of the process group if this process serves it, otherwise None. The store closes when this reference is
    dropped, so it is kept until the run ends.
    """

    def config_for_suite(self, index: int) -> DistributedConfig:
        """Return the configuration of the process group for one suite.

        Each suite of a run under torchrun has a process group of its own.

        Args:
            index: the position of the suite on the command line, from 0.
        """
        external = self.config.external_rendezvous
        if external is None:
            return self.config
        return self.config._replace(external_rendezvous=replace(external, name=f"{external.name}/{index}"))


def parse_distributed(engine: str, options: DistributedOptions) -> DistributedLaunch | None:
    """Check the options for distributed cells.

    Args:
        engine: the value of `--engine`.
        options: the other options.

    Returns:
        None if one process holds all workers of a cell.

    Raises:
        UsageError: a value is invalid or not available on this machine, or an option is given that needs `--engine
            distributed`.
    """
    mean, timeout_s = parse_reduction(options.reduction), parse_duration("--timeout", options.timeout)
    if engine != DISTRIBUTED:
        values = {"--processes": options.processes, "--network-interface": options.network_interface}
        for option, value in values.items():
            if value is not None:
                raise UsageError(f"{option} {value}: this option requires --engine {DISTRIBUTED}")
        return None
    wire = parse_network_interface(options.network_interface)
    external = rendezvous_from_env(os.environ, timeout_s)
    if external is None:
        if options.processes is None:
            raise UsageError(
                f"--engine {DISTRIBUTED}: the number of processes is not given; give --processes N, or start fdabench "
                "with torchrun"
            )
        return DistributedLaunch(DistributedConfig(options.processes, mean, timeout_s, wire=wire))
    rank, rendezvous = external
    if options.processes not in (None, rendezvous.size):
        raise UsageError(
            f"--processes {options.processes}: torchrun has started {rendezvous.size} processes; give this number, or "
            "remove --processes"
        )
    store = host_store(rendezvous, rank, os.environ)
    return DistributedLaunch(
        DistributedConfig(rendezvous.size, mean, timeout_s, rendezvous, store is not None, wire, rank), store
    )


def run_follower_ranks(
    suites: Sequence[LoadedSuite], launch: DistributedLaunch, device: str, threads: int, data_root: Path
) -> None:
    """Run the cells that the process of rank 0 assigns, suite by suite.

    This process ignores SIGINT and SIGTERM. Rank 0 handles them and stops all ranks at the same step.

    Args:
        suites: the suites of the command line, in the order in which rank 0 runs them.
        launch: the process group; this process has a rank above 0.
        device: the value of `--device`.
        threads: the value of `--threads`; 0 is taken as 1.
        data_root: the folder of the data sets.
    """
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    torch_device = parse_device(device)
    for index, suite in enumerate(suites):
        names = [cell.config.dataset for cell in suite.cells]
        hashed = hash_plugin_data(names, data_root, suite.registry)
        data = load_datasets(names, data_root, hashed.registry, hashed.data)
        with export_datasets(data) as folder:
            del data
            compute = ComputeConfig(
                folder, torch_device, parse_engine("auto", torch_device), max(1, threads), pack_plugins(hashed.registry)
            )
            external = launch.config_for_suite(index).external_rendezvous
            if external is not None:
                run_follower(compute, GroupConfig(external, launch.config.mean, launch.config.wire), launch.config.rank)
