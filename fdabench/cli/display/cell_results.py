"""The results of one cell, read from its folder.

`fdabench run` reads them for the line that it prints when a cell ends, and `fdabench show` for the page of a cell.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fdabench.accounting.costs import add_byte_columns
from fdabench.metrics import METRICS, Metric
from fdabench.results.cell_record import CellRecord
from fdabench.results.derive import derive_hits, derive_runs
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.results.suite_lock import SuiteLock
from fdabench.suite.cell import Cell


@dataclass(frozen=True)
class CellResults:
    """A cell with its record and its tables. The tables of a cell without a result have no rows.

    `run` is the row of the cell in the table `runs`, and `hits` are its rows in `hits`. All totals are those of the
    ledger, and all bytes are counted by the suite's convention.
    """

    folder: Path
    cell: Cell
    record: CellRecord | None
    convention: str
    metric: Metric
    run: dict[str, Any]
    hits: pd.DataFrame
    evals: pd.DataFrame
    ledger: pd.DataFrame
    rounds: pd.DataFrame

    @property
    def has_result(self) -> bool:
        """Whether the cell ended with a result."""
        return self.record is not None and self.record.has_result


def read_cell_results(store: ResultsFolder, lock: SuiteLock, cell_id: str) -> CellResults:
    """Read the record and the tables of one cell.

    Args:
        store: the results folder.
        lock: the frozen suite, as `ResultsFolder.read_lock` returns it.
        cell_id: the id of a cell of the frozen suite.

    Raises:
        ResultError: a file of the cell cannot be read.
        LookupError, TypeError, ValueError: the files contradict each other (see `corruption_as_result_error`).
    """
    (locked,) = [cell for cell in lock.cell if cell.id == cell_id]
    cell_lock, convention, workers = lock.with_changes({"cell": [locked]}), lock.convention, locked.config.workers
    record = store.read_record(cell_id)
    finished = record is not None and record.has_result
    evals, ledger, rounds = (_read_table(store, cell_id, name, finished) for name in ("evals", "ledger", "rounds"))
    records = {cell_id: record} if record else {}
    runs, hits = derive_runs(cell_lock, records, evals, ledger), derive_hits(cell_lock, records, evals, ledger)
    return CellResults(
        store.root,
        Cell.from_lock(locked),
        record,
        convention,
        METRICS[lock.metric],
        {str(key): value for key, value in runs.iloc[0].items()},
        hits,
        add_byte_columns(evals, ledger, workers, convention) if finished else evals,
        ledger,
        rounds,
    )


def _read_table(store: ResultsFolder, cell_id: str, name: str, finished: bool) -> pd.DataFrame:
    """Read a table of the cell with the cell's id in the first column, as in the tables of all cells."""
    if not finished:
        return pd.DataFrame(columns=list(dict.fromkeys(["cell_id", *TABLES[name].names])))
    frame: pd.DataFrame = store.read_cell_table(cell_id, name).to_pandas()
    return frame if "cell_id" in frame else frame.assign(cell_id=cell_id)
