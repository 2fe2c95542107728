"""Cells trained in this process, and as fixtures a tiny suite on the digits of which each cell was trained once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import torch

from fdabench.cell_config import CellConfig
from fdabench.datasets.base import DatasetTensors
from fdabench.execution.shared_data import load_datasets
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.run_cell import CellCallbacks, ExecutionContext, run_cells_batched
from fdabench.experiment.train import CellJob, TrainingResult, train_cells
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.results.load import load, write_derived
from fdabench.results.schema import CLOCK_COLUMNS
from fdabench.suite.cell import Cell
from fdabench.suite.reader import read_suite
from support.suites import DIRICHLET, FOUR_MONITORS, SYNCHRONOUS, TEXT_SUITE, digits_suite, linear_fda

NO_DATA = Path("no-data")
"""A data folder that does not exist: the digits come with scikit-learn."""


def load_dataset(config: CellConfig, root: Path = NO_DATA) -> DatasetTensors:
    """The data set of a cell's configuration, read from the folder `root`."""
    return load_datasets([config.dataset], root)[config.dataset]


CPU = ExecutionContext(
    ExecutionConfig(torch.device("cpu"), "sequential"), lambda name: load_datasets([name], NO_DATA)[name]
)
"""Where cells of tests run: the processor, one worker after the other."""


def train_cell(
    config: CellConfig, root: Path = NO_DATA, stop_asked: Callable[[], bool] = lambda: False
) -> TrainingResult:
    """Train one cell without a results folder; raises what the cell raised."""
    (done,) = train_cells([CellJob("0" * 12, ResolvedCell(config))], load_dataset(config, root), should_stop=stop_asked)
    if isinstance(done, Exception):
        raise done
    return done


def evals_table(result: TrainingResult) -> pd.DataFrame:
    """Return the evaluations of a trained cell, one in each row."""
    return pd.DataFrame(result.tables["evals"])


def tables_of(cell: Cell) -> dict[str, list[dict[str, object]]]:
    """The rows of a cell's tables without the clock columns, which two runs may fill differently."""
    actual = train_cell(cell.config).tables
    return {
        name: [{key: value for key, value in row.items() if key not in CLOCK_COLUMNS} for row in rows]
        for name, rows in actual.items()
    }


def run_suite(path: Path, root: Path, overrides: Sequence[str] = ()) -> None:
    """Run every cell of a suite into the folder `root`, and write the tables that `fdabench run` derives from them."""
    suite, store = read_suite(path, overrides), ResultsFolder(root)
    machine = replace(
        CPU, load=lambda name: load_datasets([name], NO_DATA, suite.registry)[name], registry=suite.registry
    )
    store.write_lock(suite.to_lock())
    for cell in suite.cells:
        run_cells_batched([cell], store, machine, CellCallbacks())
    write_derived(load(root))


def run_cell(
    cell: Cell, store: ResultsFolder, watcher: CellCallbacks | None = None, machine: ExecutionContext = CPU
) -> CellRecord:
    """Run one cell into a results folder, as a process of `fdabench run` does; gives its record."""
    (record,) = run_cells_batched([cell], store, machine, watcher or CellCallbacks())
    return record


class Resumed(NamedTuple):
    """A cell that was stopped and resumed, and the same cell without a stop.

    `records` has the record after each run of the stopped cell, `whole` and `resumed` the tables of the two without
    the columns of clocks, by name.
    """

    records: list[CellRecord]
    whole: dict[str, pd.DataFrame]
    resumed: dict[str, pd.DataFrame]


def stop_and_resume(cell: Cell, folder: Path, steps: Sequence[int], machine: ExecutionContext = CPU) -> Resumed:
    """Run a cell without a stop, and again with a stop after each of these numbers of steps."""
    stores = ResultsFolder(folder / "whole"), ResultsFolder(folder / "broken")
    run_cell(cell, stores[0], machine=machine)
    records = []
    for count in steps:
        left = iter([*repeat(False, count - 1), *repeat(True, 50)])
        records.append(run_cell(cell, stores[1], CellCallbacks(should_stop=lambda left=left: next(left)), machine))
    records.append(run_cell(cell, stores[1], machine=machine))
    return Resumed(records, *(_without_clocks(store, cell) for store in stores))


def _without_clocks(store: ResultsFolder, cell: Cell) -> dict[str, pd.DataFrame]:
    tables = {name: store.read_cell_table(cell.id, name).to_pandas() for name in TABLES}
    return {name: table.drop(columns=[*CLOCK_COLUMNS], errors="ignore") for name, table in tables.items()}


TINY = digits_suite(
    [
        SYNCHRONOUS,
        'kind = "fedavg"\nlocal_epochs = 0.5',
        'kind = "fedadam"\nlocal_steps = 5\nserver = { preset = "keras" }',
        'kind = "fedavgm"\nlocal_steps = 7',
        FOUR_MONITORS,
        linear_fda(0.3) + "\nevery = 4",
    ],
    steps=24,
    every_steps=8,
    workers=3,
    workload=f"partition = {DIRICHLET}",
)

Change = Callable[..., list[Cell]]


class Ran(NamedTuple):
    """The tiny suite's cells by label, their records, and their results folder."""

    cells: dict[str, Cell]
    records: dict[str, CellRecord]
    store: ResultsFolder


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Tests do not change it."""
    root = tmp_path_factory.mktemp("tiny")
    (root / "tiny.toml").write_text(TINY)
    suite = read_suite(root / "tiny.toml")
    cells, store = {cell.label: cell for cell in suite.cells}, ResultsFolder(root / "results")
    store.write_lock(suite.to_lock())
    return Ran(cells, {label: run_cell(cell, store) for label, cell in cells.items()}, store)


@pytest.fixture
def cells(tmp_path: Path) -> Change:
    """The tiny suite's cells, after overrides."""

    def changed(*overrides: str) -> list[Cell]:
        (tmp_path / "tiny.toml").write_text(TINY)
        return list(read_suite(tmp_path / "tiny.toml", overrides).cells)

    return changed


def text_cells(folder: Path, *overrides: str) -> list[Cell]:
    """The cells of `TEXT_SUITE`, which is written into `folder`."""
    (folder / "text.toml").write_text(TEXT_SUITE)
    return list(read_suite(folder / "text.toml", overrides).cells)


def text_config(folder: Path, *overrides: str) -> CellConfig:
    """The configuration of the first cell of `TEXT_SUITE`."""
    return text_cells(folder, *overrides)[0].config


AVERAGE: dict[str, Any] = {"kind": "average"}
STATEFUL: dict[str, dict[str, Any]] = {
    "Rounds": {
        "kind": "rounds",
        "when": {"kind": "period", "local_steps": 3},
        "server": {"kind": "nesterov", "lr": 0.7, "momentum": 0.5},
        "codec": {"kind": "topk", "share": 0.1, "reply": "all"},
        "feedback": 0.9,
        "correction": {"kind": "scaffold", "of": "gradient"},
    },
    "FDA-Opt": {"kind": "fdaopt", "monitor": {"kind": "linear"}, "every": 1, "most": 4, "server": AVERAGE},
    "StreamingDiLoCo": {
        "kind": "streaming-diloco",
        "local_steps": 4,
        "fragments": 2,
        "delay": 1,
        "merge": 0.5,
        "server": {"kind": "nesterov", "lr": 0.7, "momentum": 0.9},
    },
    "LayerwiseFDA": {"kind": "layerwise-fda", "theta": 0.01, "every": 1, "layers": "tensors"},
    "Lagged": {"kind": "fda", "theta": 0.01, "monitor": {"kind": "naive"}, "every": 1, "server": AVERAGE, "lag": 2},
}
"""What keeps rows of each worker, or a state of what decides when to synchronize."""
