"""Reads and validates a baseline file."""

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path

from fdabench.cell_config import TableValue
from fdabench.errors import NotComparedError, ResultError
from fdabench.formatting import plural
from fdabench.gate.baseline.keys import short_hash
from fdabench.gate.baseline.model import EvaluationProtocol, ResultsSummary, RunSummary, Sync
from fdabench.gate.baseline.schema import RunTable, validate
from fdabench.gate.baseline.write import BASELINE_SCHEMA, AcceptedChange, Baseline
from fdabench.results.files import read_bytes
from fdabench.validation.messages import format_issue, line_origins
from fdabench.validation.toml_text import format_value, key_lines

_EARLIER_SCHEMA = "1"
"""The schema of earlier files, which do not contain the settings of the cells."""
_MAX_ERRORS = 10
"""The maximum number of errors in a message. A file that was merged incorrectly has hundreds."""


def read_baseline(path: Path) -> Baseline:
    """Read a baseline file.

    Raises:
        NotComparedError: the file does not exist, has another schema, or is not a valid baseline. `fdabench baseline
            save` writes a new one.
    """
    text = _text(path)
    raw = _table(path, text)
    if raw.get("schema") == _EARLIER_SCHEMA:
        command = f"fdabench baseline save RESULTS -o {path.as_posix()} --force"
        raise NotComparedError(f"{path}: written by an earlier version of fdabench; write it again: {command}")
    if raw.get("schema") != BASELINE_SCHEMA:
        message = (
            f"baseline schema {format_value(raw['schema'])}" if "schema" in raw else "not a baseline: it has no schema"
        )
        raise NotComparedError(f"{path}: {message}; this fdabench reads {format_value(BASELINE_SCHEMA)}")
    if "end" not in raw:
        raise NotComparedError(f"{path}: the file is truncated: its last table, [end], is missing")
    file, issues = validate(raw)
    if file is None:
        origins = line_origins(path.as_posix(), key_lines(text))
        lines = [format_issue(issue, origins) for issue in issues[:_MAX_ERRORS]]
        more = [f"and {len(issues) - _MAX_ERRORS} more"] if len(issues) > _MAX_ERRORS else []
        message = "\n".join(
            [f"{path}: not a baseline that fdabench wrote: {plural(len(issues), 'fault')}", *lines, *more]
        )
        raise NotComparedError(message)
    protocol = EvaluationProtocol(**file.model_dump(include=set(EvaluationProtocol._fields)))
    configs = {table.cell: table.config for table in file.cells}
    runs = tuple(_run(table, configs[table.cell]) for table in file.runs)
    history = tuple(AcceptedChange(**entry.model_dump()) for entry in file.history)
    environments = {table.id: table.model_dump(exclude={"id"}) for table in file.environments}
    return Baseline(ResultsSummary(file.suite, protocol, environments, runs), history)


def _text(path: Path) -> str:
    if not path.exists():
        raise NotComparedError(f"{path}: this file does not exist; `fdabench baseline save` writes a baseline")
    try:
        content = read_bytes(path)
    except ResultError as error:
        raise NotComparedError(str(error)) from error
    try:
        # Some editors write a byte order mark.
        return content.decode("utf-8-sig")
    except ValueError as error:
        raise NotComparedError(f"{path}: not TOML: {error}") from error


def _table(path: Path, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        has_conflict = "\n<<<<<<<" in text
        hint = "; the file has a merge conflict: keep the version of one branch, then run `fdabench baseline accept`"
        raise NotComparedError(f"{path}: not TOML: {error}{hint if has_conflict else ''}") from error


def _run(table: RunTable, config: Mapping[str, TableValue]) -> RunSummary:
    return RunSummary(**{**table.model_dump(), "first_syncs": _syncs(table), "steps_to": {}, "config": config})


def _syncs(table: RunTable) -> tuple[Sync, ...]:
    """The syncs in the file. For a run with a period they are not stored, and are computed from the period.

    If the computed steps do not have the hash that is stored, the syncs are unknown and the result is empty.
    """
    if table.first_syncs is not None:
        return tuple(_sync(text) for text in table.first_syncs.split(", "))
    # The fraction of a period carries over to the next one. The small number corrects rounding errors.
    period = math.inf if table.period is None else table.period
    steps = [math.ceil(number * period - 1e-6) for number in range(1, table.syncs + 1)] if period < math.inf else []
    return tuple(Sync(step, math.nan) for step in steps) if short_hash(steps) == table.sync_steps else ()


def _sync(text: str) -> Sync:
    step, _, estimate = text.partition(" ")
    return Sync(int(step), float(estimate or "nan"))
