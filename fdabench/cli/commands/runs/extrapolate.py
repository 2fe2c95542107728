"""`fdabench plan --extrapolate`: the cost of the strategies of a suite with more workers and larger models."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from fdabench.accounting.fleets import Fleet
from fdabench.accounting.network_time import NETWORKS, CommunicationVolume, Network
from fdabench.cli.console import print_note, print_result, print_table
from fdabench.cli.option_values import parse_whole_number
from fdabench.errors import ResultError, UsageError, did_you_mean
from fdabench.formatting import DASH, format_bytes, format_count, format_duration, format_significant
from fdabench.planning.extrapolate import CostEstimate, TargetScale, estimate_costs, measured_cells
from fdabench.results.cell_record import OWN_LOOP
from fdabench.results.fleets import fleet_of
from fdabench.results.load import Results, load
from fdabench.suite.cell import Cell
from fdabench.suite.reader import LoadedSuite
from fdabench.suite.selection import select
from fdabench.tables import Column, Record, Table, column

MAX_VALUES: Mapping[str, int] = {"workers": 10**6, "parameters": 10**11, "steps": 10**9}
"""The largest value of each key of `--extrapolate`."""
PAGE = "docs/extrapolation.md"
"""The documentation that the note below the tables names."""
FOR_PROGRAMS = ("json", "csv")


def parse_target_scale(text: str) -> TargetScale:
    """Parse the value of `--extrapolate`, such as `workers=1e6,parameters=7e9`. The numbers are exact integers.

    Raises:
        UsageError: a key or a value is wrong; the message has all faults.

    >>> parse_target_scale("workers=1e6").workers
    1000000
    """
    values: dict[str, int] = {}
    faults = []
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in MAX_VALUES:
            faults.append(
                f"{part.strip()!r}: expected {', '.join(f'{key}=N' for key in MAX_VALUES)}"
                f"{did_you_mean(name, MAX_VALUES)}"
            )
        elif name in values:
            faults.append(f"{name} is given twice")
        elif (number := parse_whole_number(value, MAX_VALUES[name])) is None:
            faults.append(
                f"{name}={value:.40}: expected a whole number from 1 to {format_count(MAX_VALUES[name])}, such as 4096 "
                "or 1e6"
            )
        else:
            values[name] = number
    if faults:
        raise UsageError("\n".join(f"--extrapolate {fault}" for fault in faults))
    return TargetScale(**values)


def print_extrapolation(
    suite: LoadedSuite,
    target: TargetScale,
    results: Path,
    expression: str | None,
    required: bool,
    machines: Mapping[str, Fleet],
    form: str,
) -> None:
    """Print one row for each strategy and workload, and whether its syncs are measured, exact or a bound.

    Args:
        suite: the suite.
        target: the workers, parameters and steps to extrapolate to.
        results: a results folder with measured sync rates.
        expression: the value of `-k`, which selects cells, or None.
        required: whether the user named `results`; otherwise it is used only if it exists.
        machines: fleets that the user names, in addition to those of the suite.
        form: one of `options.Format`.

    Raises:
        ResultError: the results cannot be read, or have no cell of the suite.
    """
    cells = select(suite.cells, expression) if expression else suite.cells
    measured_results = _results(results, cells, suite) if required or (results / "suite.lock.toml").exists() else None
    convention = suite.suite.accounting.convention
    networks = dict(NETWORKS) | {
        network.name: Network(network.bandwidth_mbps * 1e6, network.latency_ms * 1e-3, network.shared)
        for network in suite.suite.network
    }
    # a suite has no traces, so the folder is not used
    fleets = {table.name: fleet_of(table, Path()) for table in suite.suite.fleet} | dict(machines)
    estimates = estimate_costs(cells, target, convention, measured_results, suite.registry, fleets)
    _print_notes(estimates, results if measured_results else None)
    records = [_record(estimate, networks, fleets, convention) for estimate in estimates]
    print_table(Table(records, _costs(convention)), form)
    if form not in FOR_PROGRAMS:
        print_result("")
        print_table(Table(records, _times(networks, fleets)), form)


def _results(root: Path, cells: Sequence[Cell], suite: LoadedSuite) -> Results:
    results = load(root)
    if results.lock.source == OWN_LOOP:
        if not any(measured_cells([cell], results, suite.registry) for cell in cells):
            raise ResultError(
                f"{root}: no real run in this folder has a strategy of {suite.source} with its workers and its number "
                "of parameters; give the strategy in the suite the keys that were given to fdabench.sync"
            )
    elif not {cell.id for cell in cells} & {cell.id for cell in results.lock.cell}:
        raise ResultError(
            f"{root}: none of the cells of {suite.source} is in this folder; give the results of this suite with the "
            "same overrides"
        )
    return results


def _print_notes(estimates: list[CostEstimate], results: Path | None) -> None:
    if results is not None:
        print_note(f"sync rates and the time of a step are those measured in {results.as_posix()}")
    elif any(estimate.basis == "bound" for estimate in estimates):
        print_note("no results are read: syncs are exact or bounds; --results FOLDER reads measured sync rates")
    if any(
        estimate.theta is not None and estimate.projected_to.parameters != estimate.measured_at.parameters
        for estimate in estimates
    ):
        print_note("theta is scaled with the number of parameters, as in the published rule")
    print_note(f"memory, computation and communication are modeled; {PAGE} has the formulas and their limits")


def _costs(convention: str) -> tuple[Column, ...]:
    """Return the columns for syncs, bytes and memory."""
    return (
        column("strategy"),
        Column("on", "workload", _format_workload),
        column("workers", "K", format_count),
        column("parameters", write=format_count),
        column("steps", write=format_count),
        column("theta", write=lambda theta: DASH if theta is None else format_significant(theta)),
        Column("syncs", "syncs", _range("syncs_least", "syncs_most", format_count)),
        Column("syncs_basis", "source of syncs", _basis),
        Column("bytes", f"bytes ({convention})", _range("bytes_least", "bytes_most", format_bytes)),
        column("memory_bytes", "memory of a process", format_bytes),
        Column("checked", "checked", _checked),
    )


def _times(networks: Mapping[str, Network], fleets: Iterable[str]) -> tuple[Column, ...]:
    """Return the columns for seconds of computation, of communication on each network, and of the run on each fleet."""
    return (
        column("strategy"),
        Column("on", "workload", _format_workload),
        column("compute_s", "computation", lambda seconds: DASH if seconds is None else format_duration(seconds)),
        *(
            Column(name, f"communication on {name}", _range(f"{name}_least_s", f"{name}_most_s", format_duration))
            for name in networks
        ),
        *(
            Column(
                name, f"time on fleet {name}", _range(f"fleet_{name}_least_s", f"fleet_{name}_most_s", format_duration)
            )
            for name in fleets
        ),
    )


def _format_workload(record: Record) -> str:
    return f"{record['dataset']} {record['model']} b={record['batch_size']} {record['partition']}"


def _range(low: str, high: str, write: Callable[[float], str]) -> Callable[[Record], str]:
    """Return a function that formats two values of a record as `1.2 MB to 3.4 MB`.

    Values with the same text are printed once. A dash stands for unknown values.
    """

    def format_range(record: Record) -> str:
        ends = [record[key] for key in (low, high) if record[key] is not None]
        return " to ".join(dict.fromkeys(map(write, ends))) or DASH

    return format_range


def _basis(record: Record) -> str:
    if record["syncs_basis"] != "measured":
        return str(record["syncs_basis"])
    return f"measured at K={record['measured_workers']} d={format_count(record['measured_parameters'])}"


def _checked(record: Record) -> str:
    cells = record["measured_cells"]
    return f"bytes of {record['cells_as_predicted']} of {cells} cells" if cells else DASH


def _communication_s(volume: CommunicationVolume, network: Network) -> float:
    return float(volume.seconds_on(network, 0.0))


def _record(
    estimate: CostEstimate, networks: Mapping[str, Network], fleets: Iterable[str], convention: str
) -> dict[str, object]:
    """Return the estimate for programs.

    Bytes are integers, times are in seconds, and the scale of the measured rate is included.
    """
    low, high = estimate.volumes or (None, None)
    least, most = estimate.syncs or (None, None)
    measured = estimate.measured
    return {
        "strategy": estimate.cell.label,
        **estimate.cell.config.model_dump(include={"dataset", "model", "batch_size"}),
        "partition": estimate.cell.config.partition.kind,
        **estimate.projected_to._asdict(),
        "theta": estimate.theta,
        "syncs_basis": estimate.basis,
        "syncs_least": least,
        "syncs_most": most,
        "convention": convention,
        "bytes_least": low.wire_bytes if low else None,
        "bytes_most": high.wire_bytes if high else None,
        "memory_bytes": estimate.memory,
        "compute_s": estimate.compute_s,
        **{f"{name}_least_s": _communication_s(low, network) if low else None for name, network in networks.items()},
        **{f"{name}_most_s": _communication_s(high, network) if high else None for name, network in networks.items()},
        **{
            f"fleet_{name}_{end}_s": estimate.fleet_seconds[name][at] if name in estimate.fleet_seconds else None
            for name in fleets
            for at, end in enumerate(("least", "most"))
        },
        "measured_workers": estimate.measured_at.workers if measured else None,
        "measured_parameters": estimate.measured_at.parameters if measured else None,
        "measured_syncs_per_step": float(measured.rate) if measured else None,
        "measured_cells": measured.cells if measured else 0,
        "cells_as_predicted": measured.predictions_hold if measured else 0,
    }
