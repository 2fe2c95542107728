"""The results folder: `suite.lock.toml`, and one folder for each cell with its record and its tables.

A cell's `cell.json` is written last, so a folder whose record says `done` is complete.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from fdabench.results.schema import EVALS, LEDGER, PARTITION, ROUNDS, SCHEMA_VERSION, TRACE, WIRE, other_version
from fdabench.results.suite_lock import SuiteLock

TABLES: Mapping[str, pa.Schema] = {
    "evals": EVALS,
    "ledger": LEDGER,
    "rounds": ROUNDS,
    "trace": TRACE,
    "partition": PARTITION,
}

OPTIONAL_TABLES: Mapping[str, pa.Schema] = {"traffic": WIRE}
"""Tables that a cell has if somebody asked for them."""
CHECKPOINT = "checkpoint.pt"
_END = "end"
"""The lock's last table: TOML that is cut at the end of a line is TOML still, with fewer cells."""
_ANEW = "`run` writes it anew when it is gone"
_AGAIN = "without {}, its folder, `run` does the cell again"

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ResultsFolder:
    """A results folder on disk."""

    root: Path

    @property
    def lock_path(self) -> Path:
        return self.safe_path("suite.lock.toml")

    def safe_path(self, *parts: str) -> Path:
        """A path in this folder. The folder itself may be a link; within, none leads out: who sends results to others
        would choose what is read and written there.

        Raises:
            ResultError: a link leads elsewhere.
        """
        path = self.root.joinpath(*parts)
        try:
            inside = path.resolve().is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):
            # links that lead to each other
            inside = False
        if not inside:
            raise ResultError(f"{path}: a link leads out of {self.root}; put there what it leads to")
        return path

    def cell_dir(self, cell_id: str) -> Path:
        return self.safe_path("cells", cell_id)

    def cell_file(self, cell_id: str, name: str) -> Path:
        return self.safe_path("cells", cell_id, name)

    def checkpoint_path(self, cell_id: str) -> Path:
        """Where a cell under way is kept, until it is done."""
        return self.cell_file(cell_id, CHECKPOINT)

    def remove_temp_files(self, cell_id: str) -> None:
        """Remove what a process that was killed while it wrote has left; for whoever is the only one to write here."""
        for path in self.cell_dir(cell_id).glob(".*"):
            # what cannot go does no harm
            with suppress(OSError):
                path.unlink()

    def write_lock(self, lock: SuiteLock) -> None:
        """Freeze the expanded suite; written before anything runs.

        Raises:
            ResultError: the folder holds results of another suite.
        """
        if self.lock_path.exists() and (other := self.read_lock().suite) != lock.suite:
            raise ResultError(f"{self.root}: holds results of the suite {other!r}, not {lock.suite!r}: take another -o")
        table = lock.to_dict()
        _check_text(table, self.lock_path)
        content = tomli_w.dumps({"schema": SCHEMA_VERSION, **table, _END: {"cells": len(lock.cell)}})
        if not self.lock_path.exists() or read_bytes(self.lock_path) != content.encode():
            atomic_write_bytes(self.lock_path, content.encode())

    def read_lock(self) -> SuiteLock:
        """
        Raises:
            ResultError: no results here, results of another schema, or a lock that was cut or damaged.
        """
        if not self.lock_path.exists():
            raise ResultError(f"{self.root}: no results here: there is no {self.lock_path.name}")
        try:
            table = tomllib.loads(read_bytes(self.lock_path).decode())
        except (ValueError, RecursionError) as error:
            raise ResultError(f"{self.lock_path}: not TOML: {error}; {_ANEW}") from error
        if "schema" not in table:
            raise ResultError(f"{self.lock_path}: its first line, the schema, is missing; {_ANEW}")
        version, end = table.pop("schema"), table.pop(_END, None)
        if version != SCHEMA_VERSION:
            raise ResultError(other_version(self.lock_path, version))
        cells = table.get("cell")
        if isinstance(cells, list) and end != {"cells": len(cells)}:
            # a lock that was cut lacks keys as well, so this is the fault to tell
            raise ResultError(f"{self.lock_path}: its end, which counts its cells, is missing or wrong; {_ANEW}")
        try:
            lock = SuiteLock.from_table(table)
        except ValueError as error:
            raise ResultError(f"{self.lock_path}: {error}; {_ANEW}") from error
        _check_text(table, self.lock_path)
        return lock

    def read_record(self, cell_id: str) -> CellRecord | None:
        """The cell's `cell.json`, or None where the cell was never started.

        Raises:
            ResultError: the file cannot be read, has another schema, is another cell's, or holds something that
                fdabench does not write.
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
                f"{path}: it is of the cell {record.id!r:.60}, and stands in the folder of {cell_id}; "
                f"{_AGAIN.format(cell_id)}"
            )
        return record

    def damaged_table(self, cell_id: str) -> str:
        """A file that a cell with a result should have left, and that is missing or cut; empty where all are there."""
        files = [f"{name}.parquet" for name in TABLES]
        return next((file for file in files if not has_parquet_footer(self.cell_file(cell_id, file))), "")

    def write_record(self, record: CellRecord) -> None:
        """Write the record into the folder of its cell."""
        write_json(self.cell_file(record.id, "cell.json"), {"schema": SCHEMA_VERSION, **record.to_dict()})

    def write_tables(self, cell_id: str, tables: Mapping[str, Rows], config: str) -> None:
        """The cell's tables, each with the cell's canonical JSON in its metadata; an id in a row is the folder's."""
        about = {"cell_id": cell_id, "cell": config, "accounting": "paper"}
        schema_of = {**TABLES, **OPTIONAL_TABLES}
        for name, rows in tables.items():
            schema = schema_of[name]
            own = [{**row, "cell_id": cell_id} for row in rows] if "cell_id" in schema.names else rows
            write_table(self.cell_file(cell_id, f"{name}.parquet"), schema, own, about)

    def read_cell_table(self, cell_id: str, name: str) -> pa.Table:
        """
        Raises:
            ResultError: as `read_table`; or its content is another cell's.
        """
        path = self.cell_file(cell_id, f"{name}.parquet")
        return _check_owned(read_table(path, TABLES[name]), path, cell_id)

    def read_traffic(self, cell_id: str) -> pa.Table | None:
        """What the interfaces carried; None where nobody read them."""
        path = self.cell_file(cell_id, "traffic.parquet")
        return _check_owned(read_table(path, WIRE), path, cell_id) if path.exists() else None


@contextmanager
def corruption_as_result_error(root: Path) -> Iterator[None]:
    """Within, what was written is used: what fdabench wrote fits, so here a file was damaged since, or made by others.

    Raises:
        ResultError: something is missing, or of another kind than it must be.
    """
    try:
        yield
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, pa.ArrowException) as error:
        what = f"{type(error).__name__}: {error}"
        raise ResultError(f"{root}: its files do not fit together, so one is damaged: {what:.200}") from error


def _texts(value: Any) -> Iterator[str]:
    """All keys and strings of a setting."""
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
    """What is shown to people must not be obeyed by their terminals; a label is one line, and so is a setting."""
    labels = [("the label of a cell", cell["label"], "\n\t") for cell in lock["cell"]]
    settings = [("a setting of a cell", text, "\n\t") for cell in lock["cell"] for text in _texts(cell["config"])]
    for said, text, refused in (("description", lock.get("description", ""), ""), *labels, *settings):
        if CONTROL.search(text) or any(sign in text for sign in refused):
            raise ResultError(f"{path}: {said}: {text!a:.80} has control characters in it")


def _check_owned(table: pa.Table, path: Path, cell_id: str) -> pa.Table:
    """The table, if all that it says of its cell is the folder's name: whatever else it says would be another's."""
    said = [value.decode(errors="replace") for key, value in (table.schema.metadata or {}).items() if key == b"cell_id"]
    rows = table["cell_id"].unique().to_pylist() if "cell_id" in table.column_names else []
    others = [name for name in (*said, *rows) if name != cell_id]
    if others:
        raise ResultError(
            f"{path}: it is of the cell {others[0]!r:.60}, and stands in the folder of {cell_id}; without that folder "
            "`run` does the cell again"
        )
    return table
