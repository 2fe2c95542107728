"""The tables `[[fleet]]` of a suite, of its lock and of a fleet file, as models, and the fleets that they describe.

An example:

    [[fleet]]
    name = "phones"
    step = { kind = "lognormal", sigma = 0.6 }
    speeds = [1, 1, 0.5]
    bandwidth_mbps = [100, 20]
    latency_ms = 40
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, Field, model_validator

from fdabench.accounting.fleets import Fleet, Links
from fdabench.accounting.step_time import Constant, Exponential, Lognormal, Pareto, StepTime, Trace
from fdabench.cell_config import ConfigTable
from fdabench.errors import ResultError, did_you_mean
from fdabench.hyperparameters import NAME

MAX_WORKERS_LISTED = 10_000
_Bandwidth = Annotated[float, Field(gt=0, le=1e9)]
_Latency = Annotated[float, Field(ge=0, le=1e6)]
_Speed = Annotated[float, Field(gt=0, le=1e6)]


def _as_list(value: object) -> object:
    """One number stands for all workers."""
    return value if isinstance(value, list) else [value]


_OfEach = (BeforeValidator(_as_list), Field(min_length=1, max_length=MAX_WORKERS_LISTED))


class ConstantTable(ConfigTable):
    """Every step takes the mean time."""

    kind: Literal["constant"]

    def law(self, folder: Path) -> StepTime:
        return Constant()


class LognormalTable(ConfigTable):
    """The logarithm of a step time is normal."""

    kind: Literal["lognormal"]
    sigma: Annotated[float, Field(ge=0, le=5)]

    def law(self, folder: Path) -> StepTime:
        return Lognormal(self.sigma)


class ExponentialTable(ConfigTable):
    """Step times are exponential."""

    kind: Literal["exponential"]

    def law(self, folder: Path) -> StepTime:
        return Exponential()


class ParetoTable(ConfigTable):
    """Step times have a heavy tail."""

    kind: Literal["pareto"]
    alpha: Annotated[float, Field(gt=0, le=100)] = Pareto.alpha
    cap: Annotated[float, Field(gt=1, le=1e6)] = Pareto.cap

    def law(self, folder: Path) -> StepTime:
        return Pareto(self.alpha, self.cap)


class TraceTable(ConfigTable):
    """Step times are drawn from measured ones."""

    kind: Literal["trace"]
    path: str

    def law(self, folder: Path) -> StepTime:
        return read_trace(folder / self.path)


StepTable = Annotated[
    ConstantTable | LognormalTable | ExponentialTable | ParetoTable | TraceTable, Field(discriminator="kind")
]


class FleetTable(ConfigTable):
    """Machines for which reports compute the time to the target.

    Args:
        name: the name of the fleet.
        step: the law of step times. Default: every step takes the mean time.
        speeds: the speed of each worker, or one number for all. Worker k has entry k modulo the length.
        bandwidth_mbps: megabits per second of each worker's link, likewise.
        latency_ms: milliseconds for one way, likewise.
        shared: whether all workers share one channel.
        sites: the number of sites that the workers are evenly divided into.
        site_bandwidth_mbps: of the links between sites; only with `sites`.
        site_latency_ms: of the links between sites; only with `sites`.
    """

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    step: StepTable = ConstantTable(kind="constant")
    speeds: Annotated[list[_Speed], *_OfEach] = Field(default=[1.0])
    bandwidth_mbps: Annotated[list[_Bandwidth], *_OfEach]
    latency_ms: Annotated[list[_Latency], *_OfEach] = Field(default=[0.0])
    shared: bool = False
    sites: Annotated[int, Field(ge=2, le=MAX_WORKERS_LISTED)] | None = None
    site_bandwidth_mbps: _Bandwidth | None = None
    site_latency_ms: _Latency | None = None

    @model_validator(mode="after")
    def _sites_are_whole(self) -> Self:
        between = (self.site_bandwidth_mbps, self.site_latency_ms)
        if self.sites is None and between != (None, None):
            raise ValueError("site_bandwidth_mbps and site_latency_ms need sites, the number of sites")
        if self.sites is not None and self.site_bandwidth_mbps is None:
            raise ValueError("sites needs site_bandwidth_mbps, the bandwidth of the links between sites")
        return self

    def fleet(self, folder: Path) -> Fleet:
        """Return the fleet.

        Args:
            folder: the folder that the path of a trace is relative to.

        Raises:
            ResultError: the trace cannot be read.
        """
        between = None
        if self.site_bandwidth_mbps is not None:
            between = _links([self.site_bandwidth_mbps], [self.site_latency_ms or 0.0], False)
        links = _links(self.bandwidth_mbps, self.latency_ms, self.shared)
        return Fleet(self.step.law(folder), links, tuple(self.speeds), self.sites or 1, between)


def _links(bandwidth_mbps: Sequence[float], latency_ms: Sequence[float], shared: bool) -> Links:
    return Links(tuple(1e6 * mbps for mbps in bandwidth_mbps), tuple(1e-3 * ms for ms in latency_ms), shared)


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
    return Trace(tuple(tuple(float(value) / 1e3 for value in mine) for _, mine in grouped))
