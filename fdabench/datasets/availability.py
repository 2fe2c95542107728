"""Reads availability traces: Parquet files with the intervals in which each client can take part in training."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet

from fdabench.errors import WorkloadError, did_you_mean
from fdabench.regular_files import read_regular

COLUMNS: Mapping[str, str] = {
    "client": "the index of the client, from 0",
    "start": "the round in which the client becomes available",
    "stop": "the round from which it is available no more",
}


@dataclass(frozen=True, eq=False)
class ClientIntervals:
    """The intervals in which clients are available, sorted by client and start. Shape suffix: M intervals.

    Args:
        client_M: the client of each interval, int64; every client from 0 to the highest has at least one.
        start_M: the start of each interval, in rounds.
        stop_M: the end of each interval, in rounds, exclusive. Intervals of a client do not overlap.
    """

    client_M: npt.NDArray[np.int64]
    start_M: npt.NDArray[np.float64]
    stop_M: npt.NDArray[np.float64]

    @property
    def content(self) -> str:
        """The SHA-256 of the intervals, in hex digits. The order of rows and the compression do not change it."""
        columns = (self.client_M.astype("<i8"), self.start_M.astype("<f8"), self.stop_M.astype("<f8"))
        return hashlib.sha256(b"".join(column.tobytes() for column in columns)).hexdigest()

    def mean_available(self, clients: int, period: int) -> float:
        """Return the mean number of available clients over a period.

        Args:
            clients: the number of clients; client k has the intervals of client k modulo the clients of the trace.
            period: the number of rounds after which the intervals repeat.
        """
        length_N = np.bincount(self.client_M, self.stop_M - self.start_M)
        repeats, remainder = divmod(clients, len(length_N))
        return float(repeats * length_N.sum() + length_N[:remainder].sum()) / period


def read_intervals(path: Path) -> ClientIntervals:
    """Read a trace from a Parquet file with the columns of `COLUMNS` and one interval in each row.

    Args:
        path: the file.

    Raises:
        WorkloadError: the file cannot be read, lacks a column, or has a value that is not allowed. The message has a
            line for each fault.
    """
    location = path.as_posix()
    try:
        table = pyarrow.parquet.ParquetFile(pa.BufferReader(read_regular(path))).read()
        names = table.column_names
    except OSError as error:
        raise WorkloadError(f"{location}: cannot be read: {error.strerror or error}") from error
    except (pa.ArrowException, ValueError) as error:
        raise WorkloadError(f"{location}: it cannot be read as Parquet: {str(error).splitlines()[0]:.120}") from error
    if missing := [name for name in COLUMNS if name not in names]:
        raise WorkloadError(
            "\n".join(
                f"{location}: the column {name}, {COLUMNS[name]}, is missing; the file has: {', '.join(names)}"
                f"{did_you_mean(name, names)}"
                for name in missing
            )
        )
    if not table.num_rows:
        raise WorkloadError(f"{location}: the trace has no rows")
    client_M, start_M, stop_M = (_numbers(table, name) for name in COLUMNS)
    faults = _client_faults(client_M) + _interval_faults(start_M, stop_M)
    if faults:
        raise _trace_error(location, faults)
    order = np.lexsort((start_M, client_M))
    intervals = ClientIntervals(client_M[order].astype(np.int64), start_M[order], stop_M[order])
    if faults := _overlaps(intervals.client_M, intervals.start_M, intervals.stop_M):
        raise _trace_error(location, faults)
    return intervals


def _trace_error(location: str, faults: Sequence[str]) -> WorkloadError:
    return WorkloadError("\n".join(f"{location}: {fault}" for fault in faults))


def _numbers(table: Any, name: str) -> npt.NDArray[np.float64]:
    """Return a column as float64, with NaN for each value that is not a number."""
    values = table.column(name).to_numpy()
    return values.astype(np.float64) if values.dtype.kind in "iuf" else np.full(len(values), np.nan)


def _client_faults(client_M: npt.NDArray[np.float64]) -> list[str]:
    clients = np.unique(client_M[np.isfinite(client_M)])
    if not np.isfinite(client_M).all() or not np.array_equal(clients, np.arange(len(clients))):
        return ["client must be whole numbers 0, 1, ... without gaps"]
    return []


def _interval_faults(start_M: npt.NDArray[np.float64], stop_M: npt.NDArray[np.float64]) -> list[str]:
    wrong_start_M = ~(np.isfinite(start_M) & (start_M >= 0))
    # a stop is not compared with a wrong start, which has its own message
    wrong_stop_M = ~(np.isfinite(stop_M) & (wrong_start_M | (stop_M > start_M)))
    faults = []
    for name, values_M, wrong_M, rule in (
        ("start", start_M, wrong_start_M, "must be a finite number, 0 or above"),
        ("stop", stop_M, wrong_stop_M, "must be a finite number above start"),
    ):
        if wrong_M.any():
            row = int(np.flatnonzero(wrong_M)[0])
            faults.append(f"{name} of row {row} is {values_M[row]:g}; every value {rule}")
    return faults


def _overlaps(
    client_M: npt.NDArray[np.int64], start_M: npt.NDArray[np.float64], stop_M: npt.NDArray[np.float64]
) -> list[str]:
    overlap_M = (client_M[1:] == client_M[:-1]) & (start_M[1:] < stop_M[:-1])
    if not overlap_M.any():
        return []
    row = int(np.flatnonzero(overlap_M)[0])
    return [
        f"two intervals of client {client_M[row]} overlap: {start_M[row]:g} to {stop_M[row]:g} and "
        f"{start_M[row + 1]:g} to {stop_M[row + 1]:g}; join them"
    ]
