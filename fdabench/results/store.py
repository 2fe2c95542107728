"""The results folder: `suite.lock.toml`, and one folder for each cell with its record and its tables.

A cell's `cell.json` is written last, so a folder whose record says `done` is complete.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import tomli_w

from fdabench.errors import ResultError
from fdabench.fields import NAME
from fdabench.results.files import read_json, read_table, write_json, write_table, write_whole
from fdabench.results.schema import EVALS, LEDGER, PARTITION, ROUNDS, SCHEMA_VERSION, TRACE, WIRE

RESULTS = ("done", "target_reached", "diverged")
FAILURES = ("failed", "oom", "lost")
NOT_RETRIED = ("failed", "oom")
"""Failures that would come again; who is `lost` may have had bad luck."""
TO_DO = ("interrupted", "pending")

TABLES: Mapping[str, pa.Schema] = {
    "evals": EVALS,
    "ledger": LEDGER,
    "rounds": ROUNDS,
    "trace": TRACE,
    "partition": PARTITION,
}

ON_REQUEST: Mapping[str, pa.Schema] = {"wire": WIRE}
"""Tables that a cell has if somebody asked for them."""

Record = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Store:
    """A results folder on disk."""

    root: Path

    @property
    def lock_path(self) -> Path:
        return self.root / "suite.lock.toml"

    def cell_dir(self, cell_id: str) -> Path:
        return self.root / "cells" / cell_id

    def checkpoint_path(self, cell_id: str) -> Path:
        """Where a cell under way is kept, until it is done."""
        return self.cell_dir(cell_id) / "checkpoint.pt"

    def tidy(self, cell_id: str) -> None:
        """Remove what a process that was killed while it wrote has left; for whoever is the only one to write here."""
        for path in self.cell_dir(cell_id).glob(".*"):
            path.unlink(missing_ok=True)

    def write_lock(self, lock: Mapping[str, Any]) -> None:
        """Freeze the expanded suite; written before anything runs.

        Raises:
            ResultError: the folder holds results of another suite.
        """
        if self.lock_path.exists() and (other := self.read_lock()["suite"]) != lock["suite"]:
            raise ResultError(
                f"{self.root}: holds results of the suite {other!r}, not {lock['suite']!r}: take another -o"
            )
        content = tomli_w.dumps({"schema": SCHEMA_VERSION, **lock})
        if not self.lock_path.exists() or self.lock_path.read_text() != content:
            write_whole(self.lock_path, content.encode())

    def read_lock(self) -> dict[str, Any]:
        """
        Raises:
            ResultError: no results here, or results of another schema.
        """
        try:
            lock = tomllib.loads(self.lock_path.read_text())
        except OSError as error:
            raise ResultError(f"{self.root}: no results here: {self.lock_path.name} {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise ResultError(f"{self.lock_path}: not TOML: {error}") from error
        if lock.get("schema") != SCHEMA_VERSION:
            raise ResultError(f"{self.lock_path}: schema {lock.get('schema')}; this fdabench reads {SCHEMA_VERSION}")
        _check_names(lock, self.lock_path)
        return lock

    def read_record(self, cell_id: str) -> Record | None:
        """The cell's `cell.json`, or None where the cell was never begun."""
        path = self.cell_dir(cell_id) / "cell.json"
        if not path.exists():
            return None
        record = read_json(path)
        if record.get("schema") != SCHEMA_VERSION:
            raise ResultError(f"{path}: schema {record.get('schema')}; this fdabench reads {SCHEMA_VERSION}")
        if record.get("state") not in (*RESULTS, *FAILURES, *TO_DO):
            raise ResultError(f"{path}: the state {record.get('state')!r:.60} is none that a cell can be in")
        return record

    def write_record(self, cell_id: str, record: Record) -> None:
        write_json(self.cell_dir(cell_id) / "cell.json", {"schema": SCHEMA_VERSION, **record})

    def write_tables(self, cell_id: str, tables: Mapping[str, Rows], config: str) -> None:
        """The cell's tables, each with the cell's canonical JSON in its metadata."""
        about = {"cell_id": cell_id, "cell": config, "accounting": "paper"}
        schema_of = {**TABLES, **ON_REQUEST}
        for name, rows in tables.items():
            write_table(self.cell_dir(cell_id) / f"{name}.parquet", schema_of[name], rows, about)

    def read_cell_table(self, cell_id: str, name: str) -> pa.Table:
        return read_table(self.cell_dir(cell_id) / f"{name}.parquet", TABLES[name])

    def read_wire(self, cell_id: str) -> pa.Table | None:
        """What the interfaces carried; None where nobody read them."""
        path = self.cell_dir(cell_id) / "wire.parquet"
        return read_table(path, WIRE) if path.exists() else None


def _check_names(lock: Mapping[str, Any], path: Path) -> None:
    """Names become folders: one that leads out of the results, or out of `reports`, is somebody's trick or damage."""
    cells = lock.get("cell")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise ResultError(f"{path}: expected [[cell]] tables")
    for said, name in (("suite", lock.get("suite")), *(("the id of a cell", cell.get("id")) for cell in cells)):
        if not isinstance(name, str) or not re.fullmatch(NAME, name):
            raise ResultError(f"{path}: {said}: {name!r:.60} is no name that fdabench gives")
