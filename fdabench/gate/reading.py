"""A baseline as it is read again."""

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdabench.errors import NoComparisonError, ResultError
from fdabench.formatting import plural
from fdabench.gate.baseline import BASELINE_SCHEMA, Baseline, Reason
from fdabench.gate.names import digest
from fdabench.gate.rules import faults
from fdabench.gate.runs import PROTOCOL, Run, Snapshot, Sync
from fdabench.results.files import read_bytes

_FORMER = "1"
"""Of a file with 28 lines a run, which does not say what the settings were."""
_MOST = 10
"""Faults that are told; a merge gone wrong has hundreds."""


def read(path: Path) -> Baseline:
    """
    Raises:
        NoComparisonError: no such file, another schema, or a file that is not a baseline.
    """
    raw = _table(path)
    if raw.get("schema") == _FORMER:
        anew = f"fdabench baseline save RESULTS -o {path.as_posix()} --force"
        raise NoComparisonError(f"{path}: written by an earlier version of fdabench; write it again: {anew}")
    if raw.get("schema") != BASELINE_SCHEMA:
        said = f"baseline schema {raw['schema']!r:.60}" if "schema" in raw else "not a baseline: it has no schema"
        raise NoComparisonError(f"{path}: {said}; this fdabench reads {BASELINE_SCHEMA!r}")
    if "end" not in raw:
        raise NoComparisonError(f"{path}: its last lines, [end] with the number of runs, are missing: the file was cut")
    found = faults(raw)
    if found:
        lines = [*found[:_MOST], *([f"and {len(found) - _MOST} more"] if len(found) > _MOST else [])]
        told = "\n".join(lines)
        raise NoComparisonError(f"{path}: not as fdabench wrote it: {plural(len(found), 'fault')}\n{told}")
    protocol = {key: raw[key] for key in PROTOCOL}
    configs = {table["cell"]: table["config"] for table in raw["cells"]}
    runs = tuple(_run(table, configs[table["cell"]]) for table in raw["runs"])
    history = tuple(Reason(**entry) for entry in raw["history"])
    environments = {table["id"]: _without_id(table) for table in raw["environments"]}
    return Baseline(Snapshot(raw["suite"], protocol, environments, runs), history)


def _without_id(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != "id"}


def _table(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise NoComparisonError(f"{path}: no baseline here; `fdabench baseline save` writes one")
    try:
        content = read_bytes(path)
    except ResultError as error:
        raise NoComparisonError(str(error)) from error
    try:
        # some editors put a mark in front
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        branches = b"\n<<<<<<<" in content
        hint = "; two branches changed it: take either one's, then `fdabench baseline accept`" if branches else ""
        raise NoComparisonError(f"{path}: not TOML: {error}{hint}") from error


def _run(table: Mapping[str, Any], config: Mapping[str, Any]) -> Run:
    optional: dict[str, Any] = {"theta": None, "period": None, "bytes_to": {}, "steps_to": {}}
    sizes = table.get("payload", {}).items()
    payload = {kind: tuple(size) if isinstance(size, list) else (size,) for kind, size in sizes}
    return Run(**{**optional, **table, "payload": payload, "first_syncs": _syncs(table), "config": config})


def _syncs(table: Mapping[str, Any]) -> tuple[Sync, ...]:
    """Those that are kept; of a period all, which nobody keeps, where its multiples have the hash that is kept."""
    if "first_syncs" in table:
        return tuple(_sync(text) for text in table["first_syncs"].split(", "))
    # a fraction is carried over; as a float it may be a little more than it was
    period = table.get("period", math.inf)
    steps = [math.ceil(number * period - 1e-6) for number in range(1, table["syncs"] + 1)] if period < math.inf else []
    return tuple(Sync(step, math.nan) for step in steps) if digest(steps) == table["sync_steps"] else ()


def _sync(text: str) -> Sync:
    step, _, estimate = text.partition(" ")
    return Sync(int(step), float(estimate or "nan"))
