"""The baseline: a small sorted TOML file that people commit, so that a change of any number is a change in review."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import tomli_w

from fdabench.errors import NoComparisonError, UsageError
from fdabench.gate.runs import PROTOCOL, Run, Snapshot, Sync
from fdabench.results.files import write_whole

BASELINE_SCHEMA = "1"
KEPT_SYNCS = 32
"""Of a run whose syncs depend on data: enough for `check --why` to name the first that differs, mostly."""
_HEAD = """\
# What `fdabench check` compares with. Commit it; `fdabench baseline accept` changes it, and asks for a reason.
"""


@dataclass(frozen=True)
class Reason:
    """Why numbers were accepted: of how many runs, from which revision."""

    reason: str
    runs: int
    revision: str


@dataclass(frozen=True)
class Baseline:
    """The runs that were accepted, and the reasons, oldest first."""

    snapshot: Snapshot
    history: tuple[Reason, ...] = ()


def save(path: Path, baseline: Baseline) -> None:
    write_whole(path, dumps(baseline).encode())


def dumps(baseline: Baseline) -> str:
    """The file's text: the same for the same runs, whatever order they came in."""
    seen = baseline.snapshot
    used = {run.environment for run in seen.runs}
    return _HEAD + tomli_w.dumps(
        {
            "schema": BASELINE_SCHEMA,
            "suite": seen.suite,
            **seen.protocol,
            "history": [asdict(reason) for reason in baseline.history],
            "environment": {name: dict(seen.environments[name]) for name in sorted(used)},
            "run": [_table(run) for run in seen.runs],
        }
    )


def _table(run: Run) -> dict[str, Any]:
    """Plain values first, tables after; what a run does not have is left out. Syncs of a period need not be told."""
    kept = () if run.period is not None else run.first_syncs[:KEPT_SYNCS]
    table = {**asdict(run), "first_syncs": ", ".join(map(_sync_text, kept))}
    table["payload"] = {kind: _size(sizes) for kind, sizes in sorted(run.payload.items())}
    table["bytes_to"] = dict(sorted(run.bytes_to.items()))
    return {key: value for key, value in table.items() if value not in (None, {}, "") and key != "steps_to"}


def _size(sizes: tuple[int, ...]) -> int | list[int]:
    """Nearly always one."""
    return sizes[0] if len(sizes) == 1 else list(sizes)


def _sync_text(sync: Sync) -> str:
    return f"{sync.step}" if math.isnan(sync.estimate) else f"{sync.step} {sync.estimate:.4g}"


def read(path: Path) -> Baseline:
    """
    Raises:
        NoComparisonError: no such file, another schema, or a file that is not a baseline.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        hint = "`fdabench baseline save` writes one"
        raise NoComparisonError(f"{path}: no baseline here: {error.strerror}; {hint}") from error
    except ValueError as error:
        raise NoComparisonError(f"{path}: not TOML: {error}") from error
    if raw.get("schema") != BASELINE_SCHEMA:
        raise NoComparisonError(f"{path}: baseline schema {raw.get('schema')}; this fdabench reads {BASELINE_SCHEMA}")
    try:
        runs = tuple(_run(table) for table in raw["run"])
        history = tuple(Reason(**entry) for entry in raw["history"])
        protocol = {key: raw[key] for key in PROTOCOL}
        unknown = {run.environment for run in runs} - set(raw["environment"])
        if unknown:
            raise ValueError(f"[environment] has no {unknown.pop()!r}")
        return Baseline(Snapshot(raw["suite"], protocol, raw["environment"], runs), history)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoComparisonError(
            f"{path}: not a baseline that fdabench wrote: {type(error).__name__}: {error}"
        ) from error


def _run(table: Mapping[str, Any]) -> Run:
    known = {field.name for field in fields(Run)} - {"steps_to"}
    if set(table) - known:
        raise ValueError(f"[[run]] {table.get('id')}: unknown key {min(set(table) - known)!r}")
    optional: dict[str, Any] = {"theta": None, "period": None, "bytes_to": {}, "steps_to": {}, "payload": {}}
    sizes = table.get("payload", {}).items()
    payload = {kind: tuple(size) if isinstance(size, list) else (size,) for kind, size in sizes}
    syncs = tuple(_sync(text) for text in table.get("first_syncs", "").split(", ") if text)
    return Run(**{**optional, **table, "payload": payload, "first_syncs": syncs})


def _sync(text: str) -> Sync:
    step, _, estimate = text.partition(" ")
    return Sync(int(step), float(estimate or "nan"))


def first(seen: Snapshot, revision: str) -> Baseline:
    """
    Raises:
        UsageError: a cell has no result, or there is none at all.
    """
    _must_be_whole(seen)
    return Baseline(seen, (Reason("first baseline", len(seen.runs), revision),))


def accept(old: Baseline, new: Snapshot, reason: str, revision: str) -> tuple[Baseline, int]:
    """The baseline with what differs in `new`, and how many runs that is; runs that the suite no longer has go.

    A run of which only the environment differs stays as it is: nothing was found that had to be accepted.

    Raises:
        UsageError: no reason, or a cell without a result.
    """
    if not reason.strip():
        raise UsageError("--reason is empty: say in a few words why these numbers are right")
    _must_be_whole(new)
    before = old.snapshot.by_id
    runs = tuple(before[run.id] if _same(before.get(run.id), run) else run for run in new.runs)
    changed = sum(run is not before.get(run.id) for run in runs) + len(before.keys() - new.by_id.keys())
    if changed == 0 and old.snapshot.protocol == new.protocol:
        return old, 0
    environments = {**old.snapshot.environments, **new.environments}
    kept = replace(new, runs=runs, environments=environments)
    return Baseline(kept, (*old.history, Reason(reason.strip(), changed, revision))), changed


def _same(old: Run | None, new: Run) -> bool:
    return old is not None and _table(replace(new, environment=old.environment)) == _table(old)


def _must_be_whole(seen: Snapshot) -> None:
    if seen.unfinished or not seen.runs:
        some = "; ".join(seen.unfinished[:3])
        raise UsageError(f"{seen.suite}: {len(seen.unfinished)} cells have no result, so this is no baseline: {some}")
