"""Reads and writes JSON and Parquet files.

A file is replaced atomically: the content is written to a temporary file in the same folder, which is synchronized to
disk and then renamed. The metadata of a Parquet file contains its schema version, its cell and its units.
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from fdabench.errors import ResultError
from fdabench.regular_files import open_regular, read_regular
from fdabench.results.escaping import one_line
from fdabench.results.schema import ADDED_COLUMNS, SCHEMA_VERSION, extend_schema, other_version
from fdabench.shared_types import ParsedTable


def atomic_write_bytes(path: Path, content: bytes) -> None:
    """Replace the file by `content`. If an error occurs, the file stays as it was.

    Raises:
        ResultError: the folder cannot be written.
    """
    atomic_write(path, lambda file: file.write(content))


def atomic_write(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Replace the file by what `write` writes. If an error occurs, the file stays as it was.

    Args:
        path: the file; missing parent folders are created.
        write: receives a temporary file that is open for writing.

    Raises:
        ResultError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise ResultError(f"{path}: cannot be written: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, value: Mapping[str, object]) -> None:
    atomic_write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def remove(path: Path) -> None:
    """Remove the file if it exists.

    Raises:
        ResultError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ResultError(f"{path}: cannot be removed: {error.strerror}") from error


def read_bytes(path: Path) -> bytes:
    """Read a regular file.

    Raises:
        ResultError: the file cannot be read, or it is not a regular file. Reading from a pipe could block forever.
    """
    try:
        return read_regular(path)
    except OSError as error:
        raise ResultError(f"{path}: cannot be read: {error.strerror}") from error


def read_json(path: Path) -> ParsedTable:
    """Read a file that contains one JSON object.

    Raises:
        ResultError: the file cannot be read, or it does not contain a JSON object.
    """
    content = read_bytes(path)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ResultError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def write_table(path: Path, schema: pa.Schema, rows: Sequence[Mapping[str, object]], values: Mapping[str, str]) -> None:
    """Write rows as a Parquet file.

    Args:
        path: the file; its stem is the name of the table.
        schema: the columns; the metadata of each field has its unit.
        rows: one mapping for each row.
        values: written into the metadata of the file, with the schema version and the name of the table.

    Raises:
        ResultError: the folder cannot be written.
    """
    metadata = {"fdabench_schema": SCHEMA_VERSION, "table": path.stem, **values}
    table = pa.Table.from_pylist(list(rows), schema=schema.with_metadata(metadata))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    atomic_write_bytes(path, sink.getvalue().to_pybytes())


def has_parquet_footer(path: Path) -> bool:
    """Whether the file exists and has a Parquet footer.

    The footer is at the end of the file and is written last, so a file that was truncated does not have one.
    """
    try:
        with open_regular(path) as file:
            pq.read_metadata(file)
    except (OSError, pa.ArrowException):
        return False
    return True


def read_table(path: Path, schema: pa.Schema, remedy: str = "") -> pa.Table:
    """Read a Parquet file and return the columns of `schema` and those of `OPTIONAL_COLUMNS` that the file has.

    Columns that files of earlier releases lack are added with the values of `ADDED_COLUMNS`.

    Args:
        path: the file.
        schema: the columns that it must have.
        remedy: what a user can do if the file is missing or damaged, for the message.

    Raises:
        ResultError: the file is missing, damaged, has another schema version, or lacks a column.
    """
    advice = f"; {remedy}" if remedy else ""
    try:
        content = read_bytes(path)
    except ResultError as error:
        raise ResultError(f"{error}{advice}") from error
    try:
        # A report reads thousands of small files, and pq.read_table takes twice as long to open each of them.
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            table = file.read(use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise ResultError(f"{path}: not a readable Parquet file: {one_line(str(error).strip())}{advice}") from error
    version = (table.schema.metadata or {}).get(b"fdabench_schema", b"none").decode(errors="replace")
    if version != SCHEMA_VERSION:
        raise ResultError(other_version(path, version))
    for mark, added in ADDED_COLUMNS.items():
        absent = [name for name in added if name in schema.names and name not in table.column_names]
        for name in absent if mark in table.column_names else ():
            table = table.append_column(schema.field(name), added[name](table))
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise ResultError(f"{path}: column {missing[0]!r} is missing{advice}")
    return table.select(extend_schema(schema, path.stem, table.column_names).names)
