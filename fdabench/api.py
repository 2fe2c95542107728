"""What other programs import from fdabench: plug-ins, notebooks, scripts. Everything else may change without notice.

A plug-in's strategy, monitor, server, optimizer, partition, data set or model needs the first two groups of names only
(`docs/extend.md` has an example of each). A program that runs suites and reads results needs the third:

    from fdabench.api import conclusion, load_results, run_suite

    if __name__ == "__main__":  # cells run in processes of their own, which import this file
        results = run_suite("suites/quickstart.toml", out="results/quickstart")
        print(conclusion(results))
        print(results.runs.groupby("label")["bytes_total"].mean())

`load_results` reads a folder that `fdabench run` has written. Its data frames are described in `docs/results.md`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from fdabench.cell_config import CellConfig, ComponentConfig
from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.codec import Codec, Reply, TensorSlice
from fdabench.core.monitor import Monitor
from fdabench.core.row_sums import row_dots, row_squared_norms
from fdabench.core.schedule import is_period_end
from fdabench.core.strategy import (
    CorrectedGradients,
    Correction,
    CorrectionUpdate,
    HasSyncRule,
    HasTrafficForecast,
    MeansForecast,
    PlannedRun,
    Round,
    RoundInfo,
    ServerOptimizer,
    StepContext,
    StepResult,
    Strategy,
    SyncRule,
    TrafficForecast,
)
from fdabench.core.sync import initial_round, synchronize
from fdabench.core.trigger import Decision, Trigger
from fdabench.datasets.base import DatasetSpec, DatasetTensors, data_dir
from fdabench.datasets.files import FileBackedDatasetSpec
from fdabench.errors import (
    FdabenchError,
    NotComparedError,
    PartitionError,
    PluginError,
    ResultError,
    SuiteError,
    UsageError,
    WorkloadError,
)
from fdabench.execution.events import CellFinished, CellProgress, CellStarted, CellWarning, Event, Idle, log_event
from fdabench.execution.local_backend import LocalBackend
from fdabench.execution.plugin_data import hash_plugin_data
from fdabench.execution.preflight import ExecutionOptions, make_context
from fdabench.execution.scheduler import run_cells
from fdabench.experiment.status import cell_statuses
from fdabench.hyperparameters import Count, Decay, NonNegative, PositiveFloat, Seed, Steps, Threshold
from fdabench.models.base import ModelSpec
from fdabench.optimizers.base import AtSync, LocalOptimizer, LRSchedule
from fdabench.own_loop.record import RunDescription
from fdabench.partitions.base import Partition
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder
from fdabench.results.load import Results, load, write_derived
from fdabench.results.suite_lock import SuiteLock
from fdabench.run_log import rotate, run_log
from fdabench.servers.average import Average
from fdabench.suite.cell import Cell
from fdabench.suite.reader import LoadedSuite, read_suite

__all__ = [  # noqa: RUF022  by group
    # components: the protocols, and what their methods take and return
    "AtSync",
    "Average",
    "Channel",
    "ComponentInfo",
    "Codec",
    "CorrectedGradients",
    "Correction",
    "CorrectionUpdate",
    "Decision",
    "DatasetSpec",
    "DatasetTensors",
    "FileBackedDatasetSpec",
    "HasSyncRule",
    "HasTrafficForecast",
    "LRSchedule",
    "LocalOptimizer",
    "MeansForecast",
    "ModelSpec",
    "Monitor",
    "Partition",
    "PlannedRun",
    "Reply",
    "Round",
    "RoundInfo",
    "ServerOptimizer",
    "StepContext",
    "StepResult",
    "Strategy",
    "SyncRule",
    "TensorSlice",
    "TrafficForecast",
    "Trigger",
    "initial_round",
    "is_period_end",
    "row_dots",
    "row_squared_norms",
    "synchronize",
    # types of a component's fields, which say how a suite may give them
    "Count",
    "Decay",
    "NonNegative",
    "PositiveFloat",
    "Seed",
    "Steps",
    "Threshold",
    # suites and results
    "Cell",
    "CellConfig",
    "CellFinished",
    "CellProgress",
    "CellRecord",
    "CellStarted",
    "CellWarning",
    "ComponentConfig",
    "Event",
    "Idle",
    "LoadedSuite",
    "Results",
    "RunDescription",
    "SuiteLock",
    "conclusion",
    "load_results",
    "read_suite",
    "run_suite",
    # errors
    "FdabenchError",
    "NotComparedError",
    "PartitionError",
    "PluginError",
    "ResultError",
    "SuiteError",
    "UsageError",
    "WorkloadError",
]


def run_suite(
    path: Path | str,
    out: Path | str | None = None,
    overrides: Sequence[str] = (),
    jobs: int | None = None,
    device: str = "auto",
    datasets: Path | str | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Results:
    """Run the cells of a suite that have no result yet, as `fdabench run` does, and read all of its results.

    Each cell runs in a process of its own, which imports the main module of the program. Call this below
    `if __name__ == "__main__":`.

    Args:
        path: the suite, a TOML file.
        out: the results folder. Default: `results/<name of the suite>`.
        overrides: values that take the place of the suite's, such as `"budget.steps=100"`.
        jobs: processes that run cells at the same time. Default: one for each core, or one on a GPU.
        device: `"auto"`, `"cpu"`, `"cuda"` or `"cuda:1"`.
        datasets: the folder of the data sets. Default: the environment variable FDABENCH_DATA, else `data`.
        on_event: called with each event of the run, in this process: cells that start, progress, warn and finish.

    Returns:
        The results of the suite, those of earlier runs included. A cell that raised an exception has the state
        `failed` in `results.runs`, and its traceback in `results.records`. It is not run again.

    Raises:
        SuiteError: the suite file is missing or wrong.
        WorkloadError: data or weights are missing, or the samples cannot be shared out over the workers.
        ResultError: the folder holds the results of something else, or cannot be written.
    """
    suite = read_suite(Path(path), overrides)
    store, root = (
        ResultsFolder(Path(out or Path("results") / suite.suite.name)),
        data_dir(Path(datasets) if datasets else None),
    )
    hashed = hash_plugin_data([cell.config.dataset for cell in suite.cells], root, suite.registry)
    statuses = cell_statuses(suite.cells, store, hashed.registry)
    to_run = [status.cell for status in statuses if status.status not in ("done", "failed")]
    context = make_context(to_run, store, hashed, root, ExecutionOptions(device, jobs=jobs))
    store.write_lock(suite.to_lock())
    rotate(store.root)
    with run_log(store.root if to_run else None):
        for event in run_cells(to_run, context, LocalBackend()):
            log_event(event)
            on_event(event)
    results = load(store.root)
    write_derived(results)
    return results


def load_results(root: Path | str) -> Results:
    """Read a results folder, finished or not.

    Args:
        root: the folder that `fdabench run` or `run_suite` has written.

    Returns:
        The frozen suite, the record of each cell that has begun, and the tables of those with a result as data frames.

    Raises:
        ResultError: there are no results, or files that cannot be read or do not belong together.
    """
    return load(Path(root))


def conclusion(results: Results) -> str:
    """The lines that `fdabench run` ends with: which strategy needed the fewest bytes to the target, then a table."""
    # the report needs scipy's statistics, which a plug-in that imports this module does not
    from fdabench.report.summary import closing_summary

    return closing_summary(results)
