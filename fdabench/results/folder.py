"""Reads and writes a results folder: `suite.lock.toml`, and a folder for each cell with its record and its tables.

A cell's `cell.json` is written last, so the folder of a cell whose record has a result is complete.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tomli_w

from fdabench.errors import ResultError
from fdabench.results.cell_record import CellRecord
from fdabench.results.escaping import CONTROL
from fdabench.results.files import (
    atomic_write_bytes,
    has_parquet_footer,
    read_bytes,
    read_json,
    read_table,
    write_json,
    write_table,
)
from fdabench.results.schema import (
    BOUNDS,
    EVALS,
    LEDGER,
    NEVER_EMPTY,
    PARTITION,
    ROUNDS,
    SCHEMA_VERSION,
    TRACE,
    WIRE,
    extend_schema,
    other_version,
)
from fdabench.results.suite_lock import SuiteLock

TABLES: Mapping[str, pa.Schema] = {
    "evals": EVALS,
    "ledger": LEDGER,
    "rounds": ROUNDS,
    "trace": TRACE,
    "partition": PARTITION,
}

OPTIONAL_TABLES: Mapping[str, pa.Schema] = {"traffic": WIRE}
"""Tables that a cell has only if the user requested them."""
CHECKPOINT = "checkpoint.pt"
_END = "end"
"""The last table of the lock. Without it a lock that was truncated at the end of a line would be read as a valid lock
with fewer cells.
"""
_REMEDY = "`run` writes a new one if it is deleted"
_AGAIN = "without {}, its folder, `run` does the cell again"

TableRows = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class ResultsFolder:
    """A results folder on disk."""

    root: Path

    @property
    def lock_path(self) -> Path:
        return self.safe_path("suite.lock.toml")

    def safe_path(self, *parts: str) -> Path:
        """Return a path in this folder, and check that no symbolic link in it leads outside the folder.

        Without the check, the author of a results folder could choose which files of its readers are read and
        overwritten. The root itself may be a link.

        Raises:
            ResultError: a link leads outside the folder. Replace it by the file that it leads to.
        """
        path = self.root.joinpath(*parts)
        try:
            inside = path.resolve().is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):
            # The links form a cycle.
            inside = False
        if not inside:
            raise ResultError(f"{path}: a link leads out of {self.root}; put there what it leads to")
        return path

    def cell_dir(self, cell_id: str) -> Path:
        return self.safe_path("cells", cell_id)

    def cell_file(self, cell_id: str, name: str) -> Path:
        return self.safe_path("cells", cell_id, name)

    def checkpoint_path(self, cell_id: str) -> Path:
        """The path of the checkpoint of a cell that is not finished."""
        return self.cell_file(cell_id, CHECKPOINT)

    def remove_temp_files(self, cell_id: str) -> None:
        """Remove temporary files of a process that was killed while it wrote.

        The caller must be the only process that writes to the cell's folder.
        """
        for path in self.cell_dir(cell_id).glob(".*"):
            # A temporary file that cannot be removed is never read.
            with suppress(OSError):
                path.unlink()

    def write_lock(self, lock: SuiteLock) -> None:
        """Write the expanded suite. The caller does so before it runs a cell.

        Raises:
            ResultError: the folder contains results of another suite; choose another with `-o`.
        """
        if self.lock_path.exists() and (other := self.read_lock().suite) != lock.suite:
            raise ResultError(f"{self.root}: holds results of the suite {other!r}, not {lock.suite!r}: take another -o")
        table = lock.to_dict()
        _check_text(table, self.lock_path)
        content = tomli_w.dumps({"schema": SCHEMA_VERSION, **table, _END: {"cells": len(lock.cell)}})
        if not self.lock_path.exists() or read_bytes(self.lock_path) != content.encode():
            atomic_write_bytes(self.lock_path, content.encode())

    def read_lock(self) -> SuiteLock:
        """Read the frozen suite.

        Raises:
            ResultError: the folder contains no results or results of another schema version, or the lock was truncated
                or damaged. `run` writes a lock again after it was removed.
        """
        if not self.lock_path.exists():
            raise ResultError(f"{self.root}: no results here: there is no {self.lock_path.name}")
        try:
            table = tomllib.loads(read_bytes(self.lock_path).decode())
        except (ValueError, RecursionError) as error:
            raise ResultError(f"{self.lock_path}: not TOML: {error}; {_REMEDY}") from error
        if "schema" not in table:
            raise ResultError(f"{self.lock_path}: its first line, the schema, is missing; {_REMEDY}")
        version, end = table.pop("schema"), table.pop(_END, None)
        if version != SCHEMA_VERSION:
            raise ResultError(other_version(self.lock_path, version))
        cells = table.get("cell")
        if isinstance(cells, list) and end != {"cells": len(cells)}:
            # A truncated lock lacks keys as well. This error names the cause, so it is raised first.
            raise ResultError(f"{self.lock_path}: its end, which counts its cells, is missing or wrong; {_REMEDY}")
        try:
            lock = SuiteLock.from_table(table)
        except ValueError as error:
            raise ResultError(f"{self.lock_path}: {error}; {_REMEDY}") from error
        _check_text(table, self.lock_path)
        return lock

    def read_record(self, cell_id: str) -> CellRecord | None:
        """Read the cell's `cell.json`.

        Returns:
            The record; None if the cell was never started.

        Raises:
            ResultError: the file cannot be read, has another schema version, belongs to another cell, or contains
                something that fdabench does not write. `run` computes the cell again after its folder was removed.
        """
        path = self.cell_file(cell_id, "cell.json")
        if not path.exists():
            return None
        try:
            table = read_json(path)
        except ResultError as error:
            raise ResultError(f"{error}; {_AGAIN.format(cell_id)}") from error
        version = table.pop("schema", None)
        if version != SCHEMA_VERSION:
            raise ResultError(other_version(path, version))
        try:
            record = CellRecord.from_table(table)
        except ValueError as error:
            raise ResultError(f"{path}: {error}; {_AGAIN.format(cell_id)}") from error
        if record.id != cell_id:
            raise ResultError(
                f"{path}: the record belongs to the cell {record.id!r:.60}, but is in the folder of {cell_id}; "
                f"{_AGAIN.format(cell_id)}"
            )
        return record

    def damaged_table(self, cell_id: str) -> str:
        """Return the name of a table of a cell with a result that is missing or truncated; "" if all are complete."""
        files = [f"{name}.parquet" for name in TABLES]
        return next((file for file in files if not has_parquet_footer(self.cell_file(cell_id, file))), "")

    def write_record(self, record: CellRecord) -> None:
        """Write the record into the folder of its cell."""
        write_json(self.cell_file(record.id, "cell.json"), {"schema": SCHEMA_VERSION, **record.to_dict()})

    def write_tables(self, cell_id: str, tables: Mapping[str, TableRows], config: str) -> None:
        """Write the tables of a cell.

        Args:
            cell_id: the id of the cell; it replaces a `cell_id` in the rows.
            tables: the rows of each table, by name.
            config: the canonical JSON of the cell's configuration, for the metadata of each file.
        """
        metadata = {"cell_id": cell_id, "cell": config, "accounting": "paper"}
        schema_of = {**TABLES, **OPTIONAL_TABLES}
        for name, rows in tables.items():
            schema = schema_of[name]
            own = [{**row, "cell_id": cell_id} for row in rows] if "cell_id" in schema.names else rows
            schema = extend_schema(schema, name, rows[0].keys() if rows else ())
            write_table(self.cell_file(cell_id, f"{name}.parquet"), schema, own, metadata)

    def read_cell_table(self, cell_id: str, name: str) -> pa.Table:
        """Read one of the `TABLES` of a cell.

        Raises:
            ResultError: as in `read_table`, or the content belongs to another cell or cannot be a result.
        """
        path = self.cell_file(cell_id, f"{name}.parquet")
        table = read_table(path, TABLES[name], _AGAIN.format(cell_id))
        if fault := _find_fault(table, name):
            raise ResultError(f"{path}: {fault}, so the file is damaged; {_AGAIN.format(cell_id)}")
        return _check_owned(table, path, cell_id)

    def read_traffic(self, cell_id: str) -> pa.Table | None:
        """Read the measured traffic of the network interfaces; None if the traffic was not measured.

        Raises:
            ResultError: as in `read_cell_table`.
        """
        path = self.cell_file(cell_id, "traffic.parquet")
        return _check_owned(read_table(path, WIRE, _AGAIN.format(cell_id)), path, cell_id) if path.exists() else None


@contextmanager
def corruption_as_result_error(root: Path) -> Iterator[None]:
    """Convert errors that occur while the content of a results folder is used to a `ResultError`.

    Files that fdabench wrote are consistent with each other, so such an error means that a file was damaged or was
    written by another program.

    Raises:
        ResultError: a value is missing, or has another type than it must have.
    """
    try:
        yield
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, pa.ArrowException) as error:
        what = f"{type(error).__name__}: {error}"
        raise ResultError(f"{root}: its files do not fit together, so one is damaged: {what:.200}") from error


def _texts(value: object) -> Iterator[str]:
    """Yield all keys and strings of a setting."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _check_text(lock: Mapping[str, Any], path: Path) -> None:
    """Raise a `ResultError` if a text of the lock contains control characters, which a terminal would interpret.

    A label or a setting must not contain line breaks or tabs either.
    """
    labels = [("the label of a cell", cell["label"], "\n\t") for cell in lock["cell"]]
    settings = [("a setting of a cell", text, "\n\t") for cell in lock["cell"] for text in _texts(cell["config"])]
    for place, text, refused in (("description", lock.get("description", ""), ""), *labels, *settings):
        if CONTROL.search(text) or any(sign in text for sign in refused):
            raise ResultError(f"{path}: {place}: {text!a:.80} has control characters in it")


def _find_fault(table: pa.Table, name: str) -> str:
    """Describe the first value that no run can have written; "" if there is none.

    A file can be damaged, or written by another program, and still be a Parquet file with the columns of the schema.
    """
    if name in NEVER_EMPTY and not len(table):
        return "it has no rows"
    for column, (lowest, highest) in BOUNDS[name].items():
        values = table[column].to_numpy()
        # a missing value is NaN, and no comparison with NaN is true
        wrong = np.flatnonzero(~((values >= lowest) & (values <= highest)))
        if len(wrong):
            return f"column '{column}', row {wrong[0] + 1}: {table[column][wrong[0]].as_py()} is out of range"
    steps = table["step"].to_numpy() if name == "evals" else np.zeros(0)
    unordered = np.flatnonzero(np.diff(steps) <= 0)
    if len(unordered):
        row = unordered[0] + 1
        return f"column 'step', row {row + 1}: {steps[row]} follows {steps[row - 1]}"
    return ""


def _check_owned(table: pa.Table, path: Path, cell_id: str) -> pa.Table:
    """Return the table if each cell id in its metadata and rows is `cell_id`; raise a `ResultError` otherwise."""
    owners = [
        value.decode(errors="replace") for key, value in (table.schema.metadata or {}).items() if key == b"cell_id"
    ]
    rows = table["cell_id"].unique().to_pylist() if "cell_id" in table.column_names else []
    others = [name for name in (*owners, *rows) if name != cell_id]
    if others:
        raise ResultError(
            f"{path}: the table belongs to the cell {others[0]!r:.60}, but is in the folder of {cell_id}; without that "
            "folder `run` does the cell again"
        )
    return table
