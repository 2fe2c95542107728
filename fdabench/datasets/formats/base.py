"""The interface of data formats, and the specification of a data set that a format reads.

A format only reads data: it never unpickles, imports or runs anything that it finds in a file.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from fdabench.component_info import ComponentInfo
from fdabench.datasets.base import DatasetSpec, DatasetTensors
from fdabench.datasets.checks import data_hash
from fdabench.errors import WorkloadError, did_you_mean


class DataFault(NamedTuple):
    """One fault of a user's data.

    Args:
        key: the key of the table `dataset` that the fault is about, such as `label`.
        message: the file, its content, the allowed content, and the nearest name if a name is unknown.
    """

    key: str
    message: str


class DataError(WorkloadError):
    """The data of a user cannot be read. `faults` contains all faults."""

    def __init__(self, faults: Sequence[DataFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(f"dataset.{fault.key}: {fault.message}" for fault in faults))


@runtime_checkable
class DataFormat(Protocol):
    """A frozen dataclass whose fields are the keys of the table `dataset` of a workload.

    A suite resolves `path`, and `test` if it is a path, against the folder of the suite file before it builds the
    format.
    """

    info: ClassVar[ComponentInfo]

    def __hash__(self) -> int:
        """Return the hash that a frozen dataclass generates; `load_data` uses a format as a key of its cache."""
        ...

    @property
    def path(self) -> str:
        """The file, the folder or the pattern of files that is read."""

    def files(self) -> list[Path]:
        """Return the files that `read` opens, sorted.

        Raises:
            DataError: there are none.
        """

    def read(self) -> DatasetTensors:
        """Read the data. Two calls with the same files return equal tensors.

        Raises:
            DataError: the data cannot be read, or does not form a data set; the error has all faults.
        """


class OpenedData(NamedTuple):
    """A data set that was read from disk.

    Args:
        spec: its specification, with the shape and the numbers of samples of the files.
        content: the hash of its tensors, as `datasets.checks.data_hash` returns it.
    """

    spec: DatasetSpec
    content: str


def open_data(source: DataFormat, name: str) -> OpenedData:
    """Read a data set from disk and return its specification and hash.

    Args:
        source: the format with its keys.
        name: the name of the data set in figures and tables.

    Raises:
        DataError: as in `DataFormat.read`.
    """
    data = load_data(source, Path())
    description = f"{len(data.train_y)} training and {len(data.test_y)} test samples from {source.path}"
    spec = DatasetSpec(
        partial(load_data, source),
        len(data.train_y),
        data.shape,
        data.classes,
        description,
        ComponentInfo(name=name),
        partial(_locate, source),
        data.task,
        len(data.test_y),
        data.train_owners is not None,
    )
    return OpenedData(spec, data_hash(data))


def load_data(source: DataFormat, root: Path) -> DatasetTensors:
    """Return a data set from the cache, or read it if its files are new or have changed.

    The cache has the last two data sets of this process. Files have changed if their sizes or modification times have.

    Args:
        source: the format with its keys.
        root: the data folder; not used.

    Raises:
        DataError: as in `DataFormat.read`.
    """
    return _read(source, tuple(_state(file) for file in source.files()))


@lru_cache(maxsize=2)
def _read(source: DataFormat, states: tuple[tuple[str, int, int], ...]) -> DatasetTensors:
    """Read a data set. `states` is a part of the key of the cache, so that changed files are read again."""
    return source.read()


def _state(file: Path) -> tuple[str, int, int]:
    """Return the name, the size in bytes and the modification time in nanoseconds of a file."""
    status = file.stat()
    return file.as_posix(), status.st_size, status.st_mtime_ns


def _locate(source: DataFormat, root: Path) -> str:
    try:
        return source.path if source.files() else ""
    except DataError:
        return ""


def single_file(key: str, path: str, example: str) -> Path:
    """Return the file at `path`.

    Args:
        key: the key of the table `dataset`, for messages.
        path: the path of the file.
        example: a value of the key, for messages.

    Raises:
        DataError: there is no regular file at the path.
    """
    file = Path(path)
    if not file.is_file():
        fault = "it is a folder" if file.is_dir() else "there is no such file"
        raise DataError([DataFault(key, f"{path}: {fault}; expected a file, as in {key} = '{example}'")])
    return file


def missing_names(file: str, names: Mapping[str, str], available: Sequence[str], what: str) -> list[DataFault]:
    """Return one fault for each required name that a file does not contain.

    Args:
        file: the path, for messages.
        names: the required names by the keys that require them. An empty name is not required.
        available: the names in the file.
        what: the noun for a name in messages, such as `column`.
    """
    text = ", ".join(available[:20]) + (", ..." if len(available) > 20 else "") or "none"
    return [
        DataFault(key, f"{file} has no {what} {name!r}{did_you_mean(name, available) or f'; it has {text}'}")
        for key, name in names.items()
        if name and name not in available
    ]


def first_line(error: Exception) -> str:
    """Return the class of an error and at most 120 characters of the first line of its message."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]:.120}"
