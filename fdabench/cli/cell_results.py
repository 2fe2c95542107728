"""One cell as its folder has it: for the line that a run prints when it has ended, and for `fdabench show`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fdabench.accounting.costs import add_byte_columns
from fdabench.results.cell_record import CellRecord
from fdabench.results.derive import derive_hits, derive_runs
from fdabench.results.folder import TABLES, ResultsFolder
from fdabench.results.suite_lock import SuiteLock
from fdabench.suite.cell import Cell


@dataclass(frozen=True)
class CellResults:
    """A cell and what it left behind; without a result the tables have no rows.

    `run` is its row of `runs` and `hits` its rows of `hits`, so all totals are the ledger's, in the suite's convention.
    Bytes of `evals` are in that convention, too.
    """

    folder: Path
    cell: Cell
    record: CellRecord | None
    convention: str
    run: dict[str, Any]
    hits: pd.DataFrame
    evals: pd.DataFrame
    ledger: pd.DataFrame
    rounds: pd.DataFrame

    @property
    def has_result(self) -> bool:
        return self.record is not None and self.record.has_result


def read_cell_results(store: ResultsFolder, lock: SuiteLock, cell_id: str) -> CellResults:
    """
    Args:
        lock: the frozen suite.
        cell_id: of one of its cells.

    Raises:
        ResultError: a file of the cell cannot be read.
        LookupError, TypeError, ValueError: files do not fit together (see `corruption_as_result_error`).
    """
    (locked,) = [cell for cell in lock.cell if cell.id == cell_id]
    alone, convention, workers = lock.with_changes({"cell": [locked]}), lock.convention, locked.config.workers
    record = store.read_record(cell_id)
    finished = record is not None and record.has_result
    evals, ledger, rounds = (_table(store, cell_id, name, finished) for name in ("evals", "ledger", "rounds"))
    records = {cell_id: record} if record else {}
    runs, hits = derive_runs(alone, records, evals, ledger), derive_hits(alone, records, evals, ledger)
    return CellResults(
        store.root,
        Cell.from_lock(locked),
        record,
        convention,
        {str(key): value for key, value in runs.iloc[0].items()},
        hits,
        add_byte_columns(evals, ledger, workers, convention) if finished else evals,
        ledger,
        rounds,
    )


def _table(store: ResultsFolder, cell_id: str, name: str, finished: bool) -> pd.DataFrame:
    """With the cell's id in front, as all cells' tables together have it."""
    if not finished:
        return pd.DataFrame(columns=list(dict.fromkeys(["cell_id", *TABLES[name].names])))
    frame: pd.DataFrame = store.read_cell_table(cell_id, name).to_pandas()
    return frame if "cell_id" in frame else frame.assign(cell_id=cell_id)
