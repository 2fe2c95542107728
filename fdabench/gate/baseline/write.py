"""The baseline: a small sorted TOML file that people commit, so that a change of any number is a change in review.

Each run is one line, and so is each cell's configuration: a review shows which runs changed, and two branches that
changed different runs merge.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from fdabench.errors import UsageError
from fdabench.formatting import join_first
from fdabench.gate.baseline.model import ResultsSummary, RunSummary, Sync
from fdabench.results.files import atomic_write_bytes
from fdabench.validation.toml_text import format_toml

BASELINE_SCHEMA = "2"
MAX_SYNC_STEPS = 32
"""Of a run whose syncs depend on data: enough for `check --why` to name the first that differs, mostly."""
_HEAD = """\
# What `fdabench check` compares with. Commit it; `fdabench baseline accept` changes it, and asks for a reason.
"""
_FIRST = ("cell", "seed", "id", "state", "accuracy", "bytes_total", "bytes_to", "syncs", "steps")
_LAST = ("payload", "partition", "seeds", "environment", "sync_steps", "first_syncs")


@dataclass(frozen=True)
class AcceptedChange:
    """Why numbers were accepted: of how many runs, and by which code."""

    reason: str
    runs: int
    revision: str = ""
    """The commit of the repository that the suite is in; empty where there is none."""
    fdabench: str = ""
    """Its version, and its commit where it was a checkout."""


@dataclass(frozen=True)
class Baseline:
    """The runs that were accepted, and the reasons, oldest first."""

    snapshot: ResultsSummary
    history: tuple[AcceptedChange, ...] = ()


class BaselineDiff(NamedTuple):
    """How many runs of a baseline differ, are new, or are gone."""

    changed: int
    added: int
    removed: int


def save(path: Path, baseline: Baseline) -> None:
    atomic_write_bytes(path, dumps(baseline).encode())


def dumps(baseline: Baseline) -> str:
    """The file's text: the same for the same runs, whatever order they came in.

    Its last table counts the runs, so that a file that was cut anywhere is seen to be cut.
    """
    seen = baseline.snapshot
    used = {run.environment for run in seen.runs}
    top = {"schema": BASELINE_SCHEMA, "suite": seen.suite, **seen.protocol}
    cells = {run.cell: run.config for run in seen.runs}
    arrays: dict[str, list[Mapping[str, Any]]] = {
        "history": [{key: v for key, v in asdict(reason).items() if v != ""} for reason in baseline.history],
        "environments": [{"id": name, **seen.environments[name]} for name in sorted(used)],
        "cells": [{"cell": cell, "config": dict(config)} for cell, config in cells.items()],
        "runs": [_table(run) for run in seen.runs],
    }
    lines = [f"{key} = {format_toml(value)}" for key, value in top.items()]
    for name, tables in arrays.items():
        lines += ["", f"{name} = [", *(f"    {format_toml(table)}," for table in tables), "]"]
    return _HEAD + "\n".join([*lines, "", "[end]", f"runs = {len(seen.runs)}", ""])


def _table(run: RunSummary) -> dict[str, Any]:
    """What people look for first, hashes last; what a run does not have is left out. Syncs of a period are known."""
    kept = () if run.period is not None else run.first_syncs[:MAX_SYNC_STEPS]
    table = {**asdict(run), "first_syncs": ", ".join(map(_sync_text, kept))}
    table["payload"] = {kind: _size(sizes) for kind, sizes in sorted(run.payload.items())}
    table["bytes_to"] = dict(sorted(run.bytes_to.items()))
    middle = [key for key in table if key not in {*_FIRST, *_LAST, "steps_to", "config"}]
    return {key: table[key] for key in (*_FIRST, *middle, *_LAST) if table[key] not in (None, {}, "")}


def _size(sizes: tuple[int, ...]) -> int | list[int]:
    """Nearly always one."""
    return sizes[0] if len(sizes) == 1 else list(sizes)


def _sync_text(sync: Sync) -> str:
    return f"{sync.step}" if math.isnan(sync.estimate) else f"{sync.step} {sync.estimate:.4g}"


def new_baseline(seen: ResultsSummary, revision: str, fdabench: str = "") -> Baseline:
    """
    Args:
        revision, fdabench: as in `Reason`.

    Raises:
        UsageError: a cell has no result, or there is none at all.
    """
    _must_be_whole(seen)
    return Baseline(seen, (AcceptedChange("first baseline", len(seen.runs), revision, fdabench),))


def accept(
    old: Baseline, new: ResultsSummary, reason: str, revision: str, fdabench: str = ""
) -> tuple[Baseline, BaselineDiff]:
    """The baseline with what differs in `new`; runs that the suite no longer has go.

    A run of which only the environment differs stays as it is: nothing was found that had to be accepted.

    Args:
        revision, fdabench: as in `Reason`.

    Raises:
        UsageError: no reason, a cell without a result, or the results of another suite.
    """
    if not reason.strip():
        raise UsageError("--reason is empty: say in a few words why these numbers are right")
    _must_be_whole(new)
    before, after = old.snapshot.by_id, new.by_id
    if old.snapshot.suite != new.suite and not before.keys() & after.keys():
        raise UsageError(
            f"the baseline is of the suite {old.snapshot.suite!r}, the results are of {new.suite!r}, and they have no "
            "run in common: `fdabench baseline save` makes another baseline"
        )
    runs = tuple(before[run.id] if _same(before.get(run.id), run) else run for run in new.runs)
    found = BaselineDiff(
        changed=sum(run.id in before and run is not before[run.id] for run in runs),
        added=len(after.keys() - before.keys()),
        removed=len(before.keys() - after.keys()),
    )
    if sum(found) == 0 and old.snapshot.protocol == new.protocol:
        return old, found
    environments = {**old.snapshot.environments, **new.environments}
    kept = replace(new, runs=runs, environments=environments)
    # a reason is one line of the file
    entry = AcceptedChange(" ".join(reason.split()), sum(found), revision, fdabench)
    return Baseline(kept, (*old.history, entry)), found


def _same(old: RunSummary | None, new: RunSummary) -> bool:
    return old is not None and _table(replace(new, environment=old.environment)) == _table(old)


def _must_be_whole(seen: ResultsSummary) -> None:
    if seen.unfinished or not seen.runs:
        names = sorted(f"{run.name} ({run.state})" for run in seen.unfinished.values())
        told = join_first(names, 3)
        raise UsageError(f"{seen.suite}: no baseline of results that are not whole; without a result: {told}")
