"""Makes the fleets that tables `[[fleet]]` describe, and reads measured step times.

An example of a table:

    [[fleet]]
    name = "phones"
    step = { kind = "lognormal", sigma = 0.6 }
    speeds = [1, 1, 0.5]
    bandwidth_mbps = [100, 20]
    latency_ms = 40
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fdabench.accounting.fleets import Fleet, Links
from fdabench.accounting.step_time import Constant, Exponential, Lognormal, Pareto, StepTime, Trace
from fdabench.errors import ResultError, did_you_mean
from fdabench.results.suite_lock import (
    ExponentialTable,
    FleetTable,
    LognormalTable,
    ParetoTable,
    StepTable,
    TraceTable,
)


def fleet_of(table: FleetTable, folder: Path) -> Fleet:
    """Return the fleet that a table describes.

    Args:
        table: from a suite, its lock or a fleet file.
        folder: the folder that the path of a trace is relative to.

    Raises:
        ResultError: the trace cannot be read.
    """
    between = None
    if table.site_bandwidth_mbps is not None:
        between = _links([table.site_bandwidth_mbps], [table.site_latency_ms or 0.0], False, table.rendezvous)
    links = _links(table.bandwidth_mbps, table.latency_ms, table.shared, table.rendezvous)
    return Fleet(_law(table.step, folder), links, tuple(table.speeds), table.sites or 1, between)


def _law(step: StepTable, folder: Path) -> StepTime:
    match step:
        case LognormalTable():
            return Lognormal(step.sigma)
        case ExponentialTable():
            return Exponential()
        case ParetoTable():
            return Pareto(step.alpha, step.cap)
        case TraceTable():
            return read_trace(folder / step.path)
        case _:
            return Constant()


def _links(bandwidth_mbps: Sequence[float], latency_ms: Sequence[float], shared: bool, rendezvous: bool) -> Links:
    return Links(
        tuple(1e6 * mbps for mbps in bandwidth_mbps), tuple(1e-3 * ms for ms in latency_ms), shared, rendezvous
    )


TRACE_COLUMNS: Mapping[str, str] = {"worker": "the index of the worker, from 0", "ms": "the milliseconds of one step"}


def read_trace(path: Path) -> Trace:
    """Read measured step times from a Parquet file with the columns `worker` and `ms`.

    Raises:
        ResultError: the file cannot be read, lacks a column, or has a value that is no time.
    """
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ResultError(
            f"{path.as_posix()}: no Parquet file that can be read: {str(error).splitlines()[0]}"
        ) from error
    if missing := [name for name in TRACE_COLUMNS if name not in frame.columns]:
        raise ResultError(
            "\n".join(
                f"{path.as_posix()}: the column {name}, {TRACE_COLUMNS[name]}, is missing; the file has: "
                f"{', '.join(map(str, frame.columns))}{did_you_mean(name, list(map(str, frame.columns)))}"
                for name in missing
            )
        )
    if frame.empty:
        raise ResultError(f"{path.as_posix()}: the trace has no rows")
    faults = []
    workers = frame["worker"]
    if not pd.api.types.is_integer_dtype(workers) or set(workers) != set(range(workers.nunique())):
        faults.append("worker must be whole numbers 0, 1, ... without gaps")
    ms = pd.to_numeric(frame["ms"], errors="coerce").to_numpy(float)
    if not (np.isfinite(ms) & (ms > 0)).all():
        at = int(np.flatnonzero(~(np.isfinite(ms) & (ms > 0)))[0])
        faults.append(f"ms of row {at} is {frame['ms'].iloc[at]!r:.40}; every value must be a finite number above 0")
    if faults:
        raise ResultError("\n".join(f"{path.as_posix()}: {fault}" for fault in faults))
    grouped = frame.assign(ms=ms).groupby("worker", sort=True)["ms"]
    return Trace(tuple(tuple(float(value) / 1e3 for value in of_worker) for _, of_worker in grouped))
