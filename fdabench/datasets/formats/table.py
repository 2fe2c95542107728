"""Reads tables in Parquet and CSV files: a column of labels, columns of inputs, and, optionally, one of owners."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import glob, has_magic
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from fdabench.component_info import ComponentInfo
from fdabench.datasets.base import DatasetTensors
from fdabench.datasets.formats.base import DataError, DataFault, first_line, missing_names
from fdabench.datasets.formats.columns import column_array
from fdabench.datasets.formats.samples import Array, Normalization, Samples, make_tensors

SUFFIXES = (".parquet", ".csv")


@dataclass(frozen=True)
class TableFiles:
    """Rows of Parquet or CSV files. Several files are joined in the order of their names.

    Args:
        path: a file, a folder of files, or a pattern such as `train/*.parquet`.
        test: the path of the test set, in the same form, or the share of the rows of `path` that are drawn for it.
        test_seed: the seed from which those rows are drawn.
        input: the column of the inputs, or a pattern such as `pixel*`; `*` selects all columns except label and owner.
            A single column may have numbers, lists of numbers or images; several columns must have numbers.
        label: the column of the labels, whole numbers or strings.
        owner: the column of the owners; empty if rows have no owners.
        shape: the shape of one input, such as `1x28x28`; empty if the columns have it.
        normalize: `channel`, `bytes` or `none`.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(name="Table (Parquet, CSV)")

    path: str
    test: str | float = 0.2
    test_seed: int = 0
    input: str = "*"
    label: str = "label"
    owner: str = ""
    shape: str = ""
    normalize: Normalization = "none"

    def files(self) -> list[Path]:
        test = table_files("test", self.test) if isinstance(self.test, str) else []
        return [*table_files("path", self.path), *test]

    def read(self) -> DatasetTensors:
        train = self._samples("path", self.path)
        test = self._samples("test", self.test) if isinstance(self.test, str) else self.test
        return make_tensors(train, test, self.test_seed, self.shape, self.normalize)

    def _samples(self, key: str, path: str) -> Samples:
        table = read_table(key, path)
        names = table.column_names
        inputs = [name for name in names if fnmatchcase(name, self.input) and name not in (self.label, self.owner)]
        required = {"label": self.label, "owner": self.owner, **({} if inputs else {"input": self.input})}
        if faults := missing_names(path, required, names, "column"):
            raise DataError(faults)
        if not inputs:
            raise DataError([DataFault("input", f"{path}: no column except label and owner matches {self.input!r}")])
        owners = column_array(table, self.owner, "owner", path) if self.owner else None
        x, y = input_array(table, inputs, path), column_array(table, self.label, "label", path)
        return Samples(path, x, y, owners, ("input", "label", "owner"))


def table_files(key: str, path: str) -> list[Path]:
    """Return the Parquet or CSV files at a path, sorted by name.

    Args:
        key: the key of the table `dataset`, for messages.
        path: a file, a folder of files, or a pattern.

    Raises:
        DataError: there are none, or some have another suffix.
    """
    if has_magic(path):
        candidates = sorted(Path(name) for name in glob(path, recursive=True))
    elif Path(path).is_dir():
        candidates = sorted(file for file in Path(path).iterdir() if file.suffix.lower() in SUFFIXES)
    else:
        candidates = [Path(path)] if Path(path).exists() else []
    files = [file for file in candidates if file.is_file()]
    if not files:
        raise DataError([DataFault(key, f"{path}: there is no such file; expected .parquet or .csv files")])
    others = [file.name for file in files if file.suffix.lower() not in SUFFIXES]
    if others:
        raise DataError([DataFault(key, f"{path}: {others[0]} is neither a .parquet nor a .csv file")])
    return files


def read_table(key: str, path: str) -> Any:
    """Return the rows of all files at a path as one pyarrow table; arguments as in `table_files`.

    Raises:
        DataError: a file is damaged, or files have different columns.
    """
    tables = []
    for file in table_files(key, path):
        try:
            read = pyarrow.csv.read_csv if file.suffix.lower() == ".csv" else _read_parquet
            tables.append(read(file))
            names = tables[-1].column_names  # pyarrow decodes names here, and damaged ones raise UnicodeDecodeError
        except (pa.ArrowException, OSError, ValueError) as error:
            kind = file.suffix.lower()
            message = f"{file}: it cannot be read as {kind}, or it is damaged: {first_line(error)}"
            raise DataError([DataFault(key, message)]) from error
        if names != tables[0].column_names:
            message = f"{file} has the columns {names}; those of the first file are"
            raise DataError([DataFault(key, f"{message} {tables[0].column_names}")])
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        message = f"{path}: columns of its files have different types: {first_line(error)}"
        raise DataError([DataFault(key, message)]) from error


def _read_parquet(file: Path) -> Any:
    return pyarrow.parquet.ParquetFile(file).read()


def input_array(table: Any, names: list[str], location: str) -> Array:
    """Return the inputs of a table: a single column without changes, or several columns of numbers stacked to [N, F].

    Args:
        table: a pyarrow table.
        names: the names of the columns.
        location: the file, for messages.

    Raises:
        DataError: one of several columns has no numbers; the error names all such columns.
    """
    columns = [column_array(table, name, "input", location) for name in names]
    if len(columns) == 1:
        return columns[0]
    not_numeric = [
        name for name, column in zip(names, columns, strict=True) if column.ndim != 1 or column.dtype.kind not in "buif"
    ]
    if not_numeric:
        message = f"{location}: {', '.join(map(repr, not_numeric[:10]))} have no numbers"
        raise DataError([DataFault("input", f"{message}; name the columns of the inputs, as in input = 'pixel*'")])
    return np.stack(columns, 1)
