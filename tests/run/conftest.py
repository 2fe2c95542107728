"""A tiny suite on the digits, and each of its cells run once in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from fdabench.results.folder import Record, ResultsFolder
from fdabench.suite.cell import Cell
from fdabench.suite.reader import read_suite
from support.cells import run_cell
from support.suites import DIRICHLET, FOUR_MONITORS, SYNCHRONOUS, digits_suite, linear_fda

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
    """The tiny suite's cells by label, what became of each, and where."""

    cells: dict[str, Cell]
    records: dict[str, Record]
    store: ResultsFolder


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Read only."""
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
