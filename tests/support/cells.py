"""Cells trained in this process."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from fdabench.datasets.base import DatasetTensors
from fdabench.execution.shared_data import load_datasets
from fdabench.experiment.run_cell import CellCallbacks, ExecutionContext, run_cells_batched
from fdabench.experiment.train import CellJob, TrainingResult, train_cells
from fdabench.results.folder import Record, ResultsFolder
from fdabench.results.load import load, write_derived
from fdabench.suite.cell import Cell
from fdabench.suite.reader import read_suite

NO_DATA = Path("no-data")
"""A data folder that does not exist: the digits come with scikit-learn."""


def load_dataset(config: Mapping[str, Any], root: Path = NO_DATA) -> DatasetTensors:
    """The data set of a cell's configuration, read from the folder `root`."""
    return load_datasets([config["dataset"]], root)[config["dataset"]]


CPU = ExecutionContext(torch.device("cpu"), "sequential", lambda name: load_dataset({"dataset": name}))
"""Where cells of tests run: the processor, one worker after the other."""


def train_cell(
    config: Mapping[str, Any], root: Path = NO_DATA, stop_asked: Callable[[], bool] = lambda: False
) -> TrainingResult:
    """Train one cell without a results folder; raises what the cell raised."""
    (done,) = train_cells([CellJob("0" * 12, config)], load_dataset(config, root), stop_asked=stop_asked)
    if isinstance(done, Exception):
        raise done
    return done


def run_suite(path: Path, root: Path, overrides: Sequence[str] = ()) -> None:
    """Run every cell of a suite into the folder `root`, and write the tables that `fdabench run` derives from them."""
    suite, store = read_suite(path, overrides), ResultsFolder(root)
    store.write_lock(suite.to_lock())
    for cell in suite.cells:
        run_cell(cell, store)
    write_derived(load(root))


def run_cell(cell: Cell, store: ResultsFolder, watcher: CellCallbacks | None = None) -> Record:
    """Run one cell into a results folder, as a process of `fdabench run` does; gives its record."""
    (record,) = run_cells_batched([cell], store, CPU, watcher or CellCallbacks())
    return record
