"""Run cells to a step, stop and resume them, and compare their results."""

from collections.abc import Callable
from itertools import repeat
from pathlib import Path

import pandas as pd
import torch

from fdabench.execution.shared_data import load_datasets
from fdabench.experiment.execution_config import ExecutionConfig
from fdabench.experiment.run_cell import CellCallbacks, ExecutionContext, run_cells_batched
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.results.schema import CLOCK_COLUMNS
from fdabench.suite.cell import Cell

STEPS = 24
"""Of each cell of the tiny suite."""


def execution_context(engine: str = "sequential", every_s: float = 3600.0) -> ExecutionContext:
    """The processor, with the digits and a checkpoint every `every_s` seconds."""
    digits = load_datasets(["digits"], Path("no-data"))["digits"]
    return ExecutionContext(ExecutionConfig(torch.device("cpu"), engine, checkpoint_s=every_s), lambda name: digits)


def stops_after(steps: int, cells: int = 1) -> Callable[[], bool]:
    """Request a stop after this many steps; it is called once in each step of each cell."""
    left = repeat(False, (steps - 1) * cells)
    return lambda: next(left, True)


def run_cells(cells: list[Cell], store: ResultsFolder, on: ExecutionContext, steps: int = 10**9) -> list[CellRecord]:
    """Start or resume cells, and stop them after this many steps; returns their records."""
    return run_cells_batched(cells, store, on, CellCallbacks(should_stop=stops_after(steps, len(cells))))


def tables(store: ResultsFolder, cell: Cell) -> dict[str, pd.DataFrame]:
    """The tables of a cell without the columns that a clock writes."""
    actual = {name: store.read_cell_table(cell.id, name).to_pandas() for name in TABLES}
    return {name: frame.drop(columns=[c for c in CLOCK_COLUMNS if c in frame]) for name, frame in actual.items()}


def assert_same(one: ResultsFolder, other: ResultsFolder, cells: list[Cell]) -> None:
    for cell in cells:
        expected, actual = tables(one, cell), tables(other, cell)
        for name in TABLES:
            pd.testing.assert_frame_equal(actual[name], expected[name], check_exact=True, obj=f"{cell.title} {name}")


def assert_resumes(cells: list[Cell], root: Path, engine: str, stops: list[int]) -> None:
    """Stop cells after each of these numbers of steps; the results equal those of uninterrupted cells."""
    whole, broken, on = ResultsFolder(root / "whole"), ResultsFolder(root / "broken"), execution_context(engine)
    assert {record.state for record in run_cells(cells, whole, on)} == {"done"}
    made = 0
    for steps in stops:
        made += steps
        for record in run_cells(cells, broken, on, steps):
            assert (record.state, record.steps, record.remarks) == ("interrupted", made, [])
            assert broken.checkpoint_path(record.id).exists()
    for record in run_cells(cells, broken, on):
        assert (record.state, record.resumed_at_step, record.attempts) == ("done", made, len(stops) + 1)
        assert not broken.checkpoint_path(record.id).exists()
    assert_same(whole, broken, cells)
