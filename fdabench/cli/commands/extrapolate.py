"""`fdabench plan --extrapolate`: what the strategies of a suite would cost with more workers and larger models."""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from fdabench.accounting.network_time import NETWORKS, Network
from fdabench.cli.console import print_note, print_result, print_table
from fdabench.errors import ResultError, UsageError, did_you_mean
from fdabench.formatting import DASH, format_bytes, format_count, format_duration, format_significant
from fdabench.planning.extrapolate import CostEstimate, TargetScale, estimate_costs
from fdabench.results.load import Results, load
from fdabench.suite.cell import Cell
from fdabench.suite.reader import LoadedSuite
from fdabench.suite.selection import select
from fdabench.tables import Column, Record, Table, column

MOST: Mapping[str, int] = {"workers": 10**6, "parameters": 10**11, "steps": 10**9}
PAGE = "docs/extrapolation.md"
FOR_PROGRAMS = ("json", "csv")


def parse_target_scale(text: str) -> TargetScale:
    """`workers=1e6,parameters=7e9`: whole numbers, exactly.

    Raises:
        UsageError: something else; all that is wrong is in the message.
    """
    found: dict[str, int] = {}
    faults = []
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in MOST:
            faults.append(
                f"{part.strip()!r}: expected {', '.join(f'{known}=N' for known in MOST)}{did_you_mean(name, MOST)}"
            )
        elif name in found:
            faults.append(f"{name} comes twice")
        elif (number := _whole(value, MOST[name])) is None:
            faults.append(
                f"{name}={value:.40}: expected a whole number from 1 to {format_count(MOST[name])}, as 4096 or 1e6"
            )
        else:
            found[name] = number
    if faults:
        raise UsageError("\n".join(f"--extrapolate {fault}" for fault in faults))
    return TargetScale(**found)


def _whole(text: str, most: int) -> int | None:
    try:
        number = Decimal(text.replace("_", ""))
    except InvalidOperation:
        return None
    # compared before it is expanded: 1e999999999 has a billion digits
    if not number.is_finite() or not 1 <= number <= most or number != number.to_integral_value():
        return None
    return int(number)


def print_extrapolation(
    suite: LoadedSuite, wish: TargetScale, results: Path, chosen: str | None, named: bool, form: str
) -> None:
    """One row for each strategy and workload; what is measured and what is not stands beside it.

    Raises:
        ResultError: the results that were named cannot be read, or hold no cell of the suite.
    """
    cells = select(suite.cells, chosen) if chosen else suite.cells
    read = _results(results, cells, suite.source) if named or (results / "suite.lock.toml").exists() else None
    convention = suite.suite.accounting.convention
    networks = dict(NETWORKS) | {
        own.name: Network(own.bandwidth_mbps * 1e6, own.latency_ms * 1e-3, own.shared) for own in suite.suite.network
    }
    found = estimate_costs(cells, wish, convention, read, suite.registry)
    _tell(found, results if read else None)
    records = [_record(each, networks, convention) for each in found]
    print_table(Table(records, _costs(convention)), form)
    if form not in FOR_PROGRAMS:
        print_result("")
        print_table(Table(records, _times(networks)), form)


def _results(root: Path, cells: tuple[Cell, ...] | list[Cell], source: str) -> Results:
    results = load(root)
    if not {cell.id for cell in cells} & {cell.id for cell in results.lock.cell}:
        raise ResultError(f"{root}: holds no cell of {source}: it is of another suite, or of other overrides")
    return results


def _tell(found: list[CostEstimate], results: Path | None) -> None:
    if results is not None:
        print_note(
            f"measured in {results.as_posix()}: sync rates, which are taken over as they are, and the time of a step"
        )
    elif any(each.basis == "bound" for each in found):
        print_note("no results: syncs are bounds where they are not exact; --results FOLDER takes measured rates")
    if any(each.theta is not None and each.projected_to.parameters != each.measured_at.parameters for each in found):
        print_note("theta grows with the parameters, by the published rule: as much for each as in the suite")
    print_note(f"modeled: memory, computing, talking; with which formulas, and how far they hold: {PAGE}")


def _costs(convention: str) -> tuple[Column, ...]:
    """What people read of bytes and memory; of the records that programs get."""
    return (
        column("strategy"),
        Column("on", "on", _on),
        column("workers", "K", format_count),
        column("parameters", write=format_count),
        column("steps", write=format_count),
        column("theta", write=lambda theta: DASH if theta is None else format_significant(theta)),
        Column("syncs", "syncs", _range("syncs_least", "syncs_most", format_count)),
        Column("syncs_basis", "syncs are", _basis),
        Column("bytes", f"bytes ({convention})", _range("bytes_least", "bytes_most", format_bytes)),
        column("memory_bytes", "memory of a process", format_bytes),
        Column("checked", "checked", _checked),
    )


def _times(networks: Mapping[str, Network]) -> tuple[Column, ...]:
    """Seconds of computing, and of communication on each network."""
    return (
        column("strategy"),
        Column("on", "on", _on),
        column("compute_s", "computing", lambda seconds: DASH if seconds is None else format_duration(seconds)),
        *(
            Column(name, f"talking on {name}", _range(f"{name}_least_s", f"{name}_most_s", format_duration))
            for name in networks
        ),
    )


def _on(record: Record) -> str:
    return f"{record['dataset']} {record['model']} b={record['batch_size']} {record['partition']}"


def _range(low: str, high: str, write: Callable[[float], str]) -> Callable[[Record], str]:
    """`1.2 MB to 3.4 MB`, one value where both are written alike, a dash where they are not known."""

    def written(record: Record) -> str:
        ends = [record[key] for key in (low, high) if record[key] is not None]
        return " to ".join(dict.fromkeys(map(write, ends))) or DASH

    return written


def _basis(record: Record) -> str:
    if record["syncs_basis"] != "measured":
        return str(record["syncs_basis"])
    return f"measured at K={record['measured_workers']} d={format_count(record['measured_parameters'])}"


def _checked(record: Record) -> str:
    cells = record["measured_cells"]
    return f"bytes of {record['cells_as_predicted']} of {cells} cells" if cells else DASH


def _talking(demand: Any, network: Network) -> float:
    return float(demand.seconds_on(network, 0.0))


def _record(each: CostEstimate, networks: Mapping[str, Network], convention: str) -> dict[str, Any]:
    """For programs: bytes as whole numbers, seconds, and the size at which the rate was measured."""
    low, high = each.demands or (None, None)
    least, most = each.syncs or (None, None)
    measured = each.measured
    return {
        "strategy": each.cell.label,
        **each.cell.config.model_dump(include={"dataset", "model", "batch_size"}),
        "partition": each.cell.config.partition.kind,
        **each.projected_to._asdict(),
        "theta": each.theta,
        "syncs_basis": each.basis,
        "syncs_least": least,
        "syncs_most": most,
        "convention": convention,
        "bytes_least": low.wire_bytes if low else None,
        "bytes_most": high.wire_bytes if high else None,
        "memory_bytes": each.memory,
        "compute_s": each.compute_s,
        **{f"{name}_least_s": _talking(low, network) if low else None for name, network in networks.items()},
        **{f"{name}_most_s": _talking(high, network) if high else None for name, network in networks.items()},
        "measured_workers": each.measured_at.workers if measured else None,
        "measured_parameters": each.measured_at.parameters if measured else None,
        "measured_syncs_per_step": float(measured.rate) if measured else None,
        "measured_cells": measured.cells if measured else 0,
        "cells_as_predicted": measured.predictions_hold if measured else 0,
    }
