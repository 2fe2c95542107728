"""The interface of backends, which run the cells of a suite: processes of this machine, or a Ray cluster.

`make_context` checks what a run needs. The command `run` and `api.run_suite` call it before they write anything.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from fdabench.execution.events import Event
from fdabench.execution.local_backend import RunContext, run_cells
from fdabench.execution.plugin_data import HashedData
from fdabench.execution.preflight import (
    check_runnable,
    default_cells_per_batch,
    default_jobs,
    parse_device,
    parse_engine,
)
from fdabench.execution.shared_data import load_datasets
from fdabench.experiment.checkpoint.file import DEFAULT_INTERVAL_S
from fdabench.experiment.distributed_cell import DistributedConfig, check_devices
from fdabench.experiment.environment import usable_cores
from fdabench.results.folder import ResultsFolder
from fdabench.suite.cell import Cell


class ComputeOptions(NamedTuple):
    """What a user asks of the machine."""

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


class RunCells(Protocol):
    """The type of functions such as `execution.local_backend.run_cells`."""

    def __call__(
        self,
        cells: Sequence[Cell],
        context: RunContext,
        should_stop: Callable[[], bool],
        previous_attempts: Mapping[str, int] | None,
    ) -> Generator[Event]: ...


def _no_check(cells: Sequence[Cell], context: RunContext) -> None:
    pass


class Backend(NamedTuple):
    """A backend. `check` is called before anything is written, and raises UsageError if the cells cannot be run."""

    run_cells: RunCells
    check: Callable[[Sequence[Cell], RunContext], None]


LOCAL_BACKEND = Backend(run_cells, _no_check)


def make_context(
    cells: Sequence[Cell],
    store: ResultsFolder,
    hashed: HashedData,
    datasets: Path,
    options: ComputeOptions,
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
    together = 1 if distributed else options.cells_per_batch or default_cells_per_batch(device, cells)
    return RunContext(store, data, device, engine, jobs, threads, together, registry, options.checkpoint_s, distributed)
