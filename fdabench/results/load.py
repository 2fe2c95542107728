"""Loads a results folder, finished or not, as data frames. The summary, the report and the gate call it."""

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa

from fdabench.results.archive import opened
from fdabench.results.cell_record import CellRecord
from fdabench.results.derive import derive_hits, derive_runs
from fdabench.results.files import write_table
from fdabench.results.folder import TABLES, ResultsFolder, corruption_as_result_error
from fdabench.results.schema import HITS, RUNS, WIRE, extend_schema
from fdabench.results.suite_lock import ConventionName, SuiteLock


@dataclass(frozen=True)
class Results:
    """The content of a results folder or archive.

    `root` is the folder or the archive. `lock` is the frozen suite. `records` has the `cell.json` of each cell that was
    started, by cell id. The frames have the columns of `results.schema`; the first column of the cells' own tables is
    `cell_id`.
    """

    root: Path
    lock: SuiteLock
    records: dict[str, CellRecord]
    runs: pd.DataFrame
    hits: pd.DataFrame
    evals: pd.DataFrame
    ledger: pd.DataFrame
    rounds: pd.DataFrame
    trace: pd.DataFrame
    partition: pd.DataFrame
    wire: pd.DataFrame
    """The cells whose network traffic was measured."""


def load(root: Path) -> Results:
    """Read a results folder or a results archive and derive `runs` and `hits`.

    Raises:
        ResultError: the folder contains no results, or files that cannot be read or are inconsistent.
    """
    with corruption_as_result_error(root), opened(root) as folder:
        return replace(_load(folder), root=root)


def _load(root: Path) -> Results:
    store = ResultsFolder(root)
    lock = store.read_lock()
    cell_records = {cell.id: store.read_record(cell.id) for cell in lock.cell}
    records = {cell_id: record for cell_id, record in cell_records.items() if record is not None}
    finished = [cell_id for cell_id, record in records.items() if record.has_result]
    frames = {name: _stack([_one(store, cell, name) for cell in finished], schema) for name, schema in TABLES.items()}
    wired = [_keyed(table, cell) for cell in finished if (table := store.read_traffic(cell)) is not None]
    runs = derive_runs(lock, records, frames["evals"], frames["ledger"])
    hits = derive_hits(lock, records, frames["evals"], frames["ledger"])
    return Results(root, lock, records, runs, hits, **frames, wire=_stack(wired, WIRE))


def in_convention(results: Results, convention: ConventionName) -> Results:
    """Return the results with the bytes of `runs` and `hits` counted by another accounting convention.

    Args:
        results: the results.
        convention: a key of `accounting.costs.CONVENTIONS`. The suite's own gives equal results.
    """
    lock = results.lock.model_copy(update={"convention": convention})
    runs = derive_runs(lock, results.records, results.evals, results.ledger)
    return replace(
        results, lock=lock, runs=runs, hits=derive_hits(lock, results.records, results.evals, results.ledger)
    )


def write_derived(results: Results) -> None:
    """Write `runs.parquet` and `targets.parquet` into the results folder.

    Raises:
        ResultError: the folder cannot be written.
    """
    metadata = {"suite": results.lock.suite, "accounting": results.lock.convention}
    for name, schema, frame in (("runs", RUNS, results.runs), ("targets", HITS, results.hits)):
        schema = extend_schema(schema, name, frame.columns)
        table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
        write_table(results.root / f"{name}.parquet", schema, table.to_pylist(), metadata)


def _stack(tables: list[pa.Table], schema: pa.Schema) -> pd.DataFrame:
    if not tables:
        return pd.DataFrame(columns=list(dict.fromkeys(["cell_id", *schema.names])))
    frame: pd.DataFrame = pa.concat_tables(tables, promote_options="default").to_pandas()
    return frame


def _one(store: ResultsFolder, cell_id: str, name: str) -> pa.Table:
    return _keyed(store.read_cell_table(cell_id, name), cell_id)


def _keyed(table: pa.Table, cell_id: str) -> pa.Table:
    if "cell_id" in table.column_names:
        return table
    return table.add_column(0, "cell_id", pa.repeat(cell_id, len(table)))
