"""A tiny suite on the digits, and each of its cells run once in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from fdabench.results.store import Record, Store
from fdabench.run.cell import Machine, Watcher, run_together
from fdabench.run.shared import load_all
from fdabench.suite.cell import Cell
from fdabench.suite.reader import read_suite

TINY = """
name = "tiny"

[budget]
steps = 24

[eval]
every_steps = 8
targets = [0.3, 0.99]

[[workload]]
dataset = "digits"
model = "mlp"
workers = 3
batch_size = 32
optimizer = { kind = "adam", lr = 1e-3 }
partition = { kind = "dirichlet", alpha = 0.5 }

[[strategy]]
kind = "synchronous"

[[strategy]]
kind = "fedavg"
local_epochs = 0.5

[[strategy]]
kind = "fedadam"
local_steps = 5
server = { preset = "keras" }

[[strategy]]
kind = "fedavgm"
local_steps = 7

[[strategy]]
kind = "fda"
monitor = ["naive", "linear", { kind = "sketch", depth = 3, width = 50 }, "exact"]
theta = 0.3

[[strategy]]
kind = "fda"
monitor = "linear"
theta = 0.3
every = 4
"""

Change = Callable[..., list[Cell]]


HERE = Machine(torch.device("cpu"), "sequential", lambda name: load_all([name], Path("no-data"))[name])


class Ran(NamedTuple):
    """The tiny suite's cells by label, what became of each, and where."""

    cells: dict[str, Cell]
    records: dict[str, Record]
    store: Store


def run_here(cell: Cell, store: Store, stop: Callable[[], bool] = lambda: False, tell: Any = lambda p: None) -> Record:
    (record,) = run_together([cell], store, HERE, Watcher(lambda cell_id, progress: tell(progress), stop))
    return record


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Read only."""
    root = tmp_path_factory.mktemp("tiny")
    (root / "tiny.toml").write_text(TINY)
    suite = read_suite(root / "tiny.toml")
    cells, store = {cell.label: cell for cell in suite.cells}, Store(root / "results")
    store.write_lock(suite.locked())
    return Ran(cells, {label: run_here(cell, store) for label, cell in cells.items()}, store)


@pytest.fixture
def cells(tmp_path: Path) -> Change:
    """The tiny suite's cells, after overrides."""

    def changed(*overrides: str) -> list[Cell]:
        (tmp_path / "tiny.toml").write_text(TINY)
        return list(read_suite(tmp_path / "tiny.toml", overrides).cells)

    return changed


@pytest.fixture
def run_one() -> Callable[..., Record]:
    """Run a cell in this process."""
    return run_here
