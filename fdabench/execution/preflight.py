"""What is done before a run writes anything: options are parsed, defaults are chosen, and the cells are checked.

The command `run` and `api.run_suite` call `make_context`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from fdabench.cell_config import canonical_json
from fdabench.datasets.base import DatasetTensors
from fdabench.engine.gradients.selection import ENGINES, resolve_engine
from fdabench.errors import FdabenchError, UsageError, WorkloadError, did_you_mean
from fdabench.execution.backend import RunContext
from fdabench.execution.plugin_data import HashedData
from fdabench.execution.shared_data import load_datasets
from fdabench.experiment.build import make_samplers, partition_data
from fdabench.experiment.checkpoint.file import DEFAULT_INTERVAL_S
from fdabench.experiment.distributed_cell import check_devices
from fdabench.experiment.environment import usable_cores
from fdabench.experiment.execution_config import DistributedConfig, ExecutionConfig
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.formatting import plural
from fdabench.partitions.base import Indices
from fdabench.registry.compatibility import non_finite_outputs
from fdabench.registry.plugin_errors import attribute_errors
from fdabench.registry.registry import BUILT_IN, Registry
from fdabench.results.folder import ResultsFolder
from fdabench.suite.cell import Cell

WORKERS_TO_FILL_ACCELERATOR = 256


class ExecutionOptions(NamedTuple):
    """What a user asks for. `make_context` checks it, and makes an `ExecutionConfig` of it for given cells.

    It is not an `ExecutionConfig` because `auto` and None stand for values that depend on the machine and on the cells.
    """

    device: str = "auto"
    engine: str = "auto"
    jobs: int | None = None
    """Processes that run cells at the same time. None: one for each core, or one on a GPU."""
    threads: int = 0
    """Of each process. 0: the cores divided by the number of processes."""
    cells_per_batch: int | None = None
    """Cells that are computed as one batch, at most. None: as many as fill a GPU; one on a CPU."""
    checkpoint_s: float = DEFAULT_INTERVAL_S
    """Seconds between the checkpoints of a cell, at least."""
    save_model: bool = False
    """Whether the folder of each cell gets the model of its last evaluation."""


def make_context(
    cells: Sequence[Cell],
    store: ResultsFolder,
    hashed: HashedData,
    datasets: Path,
    options: ExecutionOptions,
    distributed: DistributedConfig | None = None,
) -> RunContext:
    """What the cells are computed with, after checking the device, the engine and the data.

    Args:
        cells: to be run.
        store: their results folder.
        hashed: the data of plug-ins, and the registry.
        datasets: the folder of the data sets.
        options: what the user asks for.
        distributed: the ranks of each cell; None where one process holds all workers.

    Raises:
        UsageError: the device or the engine is not available.
        WorkloadError: data cannot be loaded, or a cell cannot be run with it.
    """
    device = parse_device(options.device)
    engine = parse_engine("auto" if distributed else options.engine, device)
    processes = distributed.size if distributed else 1
    if distributed:
        check_devices(device, distributed)
    registry = hashed.registry
    data = load_datasets([cell.config.dataset for cell in cells], datasets, registry, hashed.data)
    check_runnable(cells, data, device, registry, processes)
    jobs = (
        1
        if distributed and distributed.external_rendezvous
        else min(options.jobs or default_jobs(device, processes), max(1, len(cells)))
    )
    threads = options.threads or max(1, usable_cores() // (jobs * processes))
    batched = 1 if distributed else options.cells_per_batch or default_cells_per_batch(device, cells)
    config = ExecutionConfig(
        device, engine, jobs, threads, batched, options.checkpoint_s, distributed, options.save_model
    )
    return RunContext(store, data, config, registry)


def check_runnable(
    cells: Sequence[Cell],
    data: Mapping[str, DatasetTensors],
    device: torch.device,
    registry: Registry = BUILT_IN,
    processes: int = 1,
) -> None:
    """Check that all cells can start.

    Args:
        cells: to be run.
        data: the data sets that they use, by name.
        device: that they are to run on.
        registry: the components that they name.
        processes: that share the workers of each cell.

    Raises:
        WorkloadError: samples cannot be divided among the workers, a setting is not available on the device, or
            weights are missing; the message has all faults.
    """
    faults = [
        fault
        for name in data
        for fault in _partition_errors([cell for cell in cells if cell.config.dataset == name], data[name], registry)
    ]
    faults += _missing_weights(cells, registry)
    faults += _non_finite_outputs(cells, data, registry)
    if device.type != "cuda" and any(cell.config.precision == "tf32" for cell in cells):
        faults.append("precision = 'tf32' needs a CUDA device; a CPU allows 'fp32' and 'bf16'")
    worker_counts = sorted({cell.config.workers for cell in cells if cell.config.workers < processes})
    faults += [f"workers = {workers} cannot be divided among {processes} processes" for workers in worker_counts]
    if faults:
        raise WorkloadError("\n".join(dict.fromkeys(faults)))


def _partition_errors(cells: Sequence[Cell], data: DatasetTensors, registry: Registry) -> list[str]:
    axes = {"partition", "workers", "batch_size", "sampling", "last_batch", "seed", "participation"}
    distinct = {canonical_json(cell.config.model_dump(include=axes)): cell for cell in cells}
    faults = []
    for cell in distinct.values():
        try:
            resolved = ResolvedCell(cell.config, registry)
            # what a sampler refuses depends on the number of its samples alone, and there may be 100,000 clients
            shards = {len(shard): shard for shard in _partition(resolved, data)}
            make_samplers(resolved, list(shards.values()))
        except FdabenchError as error:
            faults.append(f"{cell.title}: {error}")
    return faults


def _partition(cell: ResolvedCell, data: DatasetTensors) -> list[Indices]:
    kind = cell.config.partition.kind
    plugin = cell.registry.find_plugin("partitions", kind)
    if plugin is None:
        return partition_data(cell, data)
    return attribute_errors(plugin, f"partition {kind!r}: split", lambda: partition_data(cell, data))


def _missing_weights(cells: Sequence[Cell], registry: Registry) -> list[str]:
    """The errors of downloads of pretrained weights, which are done here, before several processes need them."""
    faults = []
    for name in dict.fromkeys(cell.config.model for cell in cells):
        fetch = registry.models[name].pretrained
        try:
            _ = fetch() if fetch is not None else None
        except WorkloadError as error:
            faults.append(str(error))
    return faults


def _non_finite_outputs(cells: Sequence[Cell], data: Mapping[str, DatasetTensors], registry: Registry) -> list[str]:
    pairs = {(cell.config.model, cell.config.dataset): cell for cell in cells}
    return [
        fault
        for (model, name), cell in pairs.items()
        if name in data
        for fault in non_finite_outputs(
            model, data[name].test_x, data[name].classes, ResolvedCell(cell.config, registry).seeds["weights"], registry
        )
    ]


def parse_device(text: str) -> torch.device:
    """Parse the value of `--device`.

    Raises:
        UsageError: this machine has no such device.
    """
    if text == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = text.partition(":")
    if text != "cpu" and (kind != "cuda" or (index and not index.isdigit())):
        raise UsageError(f"--device {text}: expected auto, cpu, cuda or cuda:0")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {text}: this machine has {plural(torch.cuda.device_count(), 'CUDA device')}")
    return torch.device(text)


def parse_engine(text: str, device: torch.device) -> str:
    """Parse the value of `--engine`; `auto` selects an engine for the device.

    Raises:
        UsageError: there is no such engine.
    """
    if text not in (names := ("auto", *ENGINES)):
        raise UsageError(f"--engine {text}: expected {', '.join(names)} or distributed{did_you_mean(text, names)}")
    return resolve_engine(text, device)


def default_jobs(device: torch.device, processes: int = 1) -> int:
    """Return how many cells run at the same time: cores divided by the `processes` of a cell; 1 on an accelerator."""
    return max(1, usable_cores() // processes) if device.type == "cpu" else 1


def default_cells_per_batch(device: torch.device, cells: Sequence[Cell]) -> int:
    """Return how many cells are in one batch: enough workers to fill an accelerator; 1 on a CPU, which is fastest."""
    max_workers = max((cell.config.workers for cell in cells), default=1)
    return 1 if device.type == "cpu" else max(1, WORKERS_TO_FILL_ACCELERATOR // max_workers)
