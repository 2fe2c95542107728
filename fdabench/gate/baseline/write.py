"""Writes baselines: small sorted TOML files that users commit, so that a code review shows every changed number.

Each run is one line, and so is each cell's configuration. A review therefore shows which runs changed, and branches
that changed different runs merge without conflicts.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

from fdabench.errors import UsageError
from fdabench.formatting import join_first
from fdabench.gate.baseline.model import ResultsSummary, RunSummary, Sync
from fdabench.metrics import Metric
from fdabench.results.files import atomic_write_bytes
from fdabench.validation.toml_text import format_toml

BASELINE_SCHEMA = "2"
MAX_SYNC_STEPS = 32
"""How many syncs are stored for a run without a period.

They are usually enough for `check --why` to find the first sync that differs.
"""
_HEAD = """\
# What `fdabench check` compares with. Commit it; `fdabench baseline accept` changes it, and asks for a reason.
"""
_FIRST = ("cell", "seed", "id", "state", "accuracy", "loss", "bytes_total", "bytes_to", "syncs", "steps")
_LAST = ("payload", "partition", "seeds", "environment", "sync_steps", "first_syncs")


@dataclass(frozen=True)
class AcceptedChange:
    """Why numbers were accepted, how many runs changed, and which code computed them."""

    reason: str
    runs: int
    revision: str = ""
    """The commit of the repository that contains the suite; empty if there is none."""
    fdabench: str = ""
    """The version of fdabench, and its commit if it is a checkout."""


@dataclass(frozen=True)
class Baseline:
    """The runs that were accepted, and the history of accepted changes, oldest first."""

    snapshot: ResultsSummary
    history: tuple[AcceptedChange, ...] = ()


class BaselineDiff(NamedTuple):
    """How many runs of a baseline changed, were added, or were removed."""

    changed: int
    added: int
    removed: int


def save(path: Path, baseline: Baseline) -> None:
    """Write a baseline to a file, which is replaced if it exists.

    Raises:
        ResultError: the file cannot be written.
    """
    atomic_write_bytes(path, dumps(baseline).encode())


def dumps(baseline: Baseline) -> str:
    """Return the text of the file, which is the same for the same runs.

    Its last table contains the number of runs, so that a truncated file is detected.
    """
    summary = baseline.snapshot
    used = {run.environment for run in summary.runs}
    # Baselines of accuracies have neither the metric nor the losses, as those of earlier versions.
    protocol = {
        key: value for key, value in summary.protocol._asdict().items() if (key, value) != ("metric", "accuracy")
    }
    top = {"schema": BASELINE_SCHEMA, "suite": summary.suite, **protocol}
    cells = {run.cell: run.config for run in summary.runs}
    arrays: dict[str, list[Mapping[str, object]]] = {
        "history": [{key: v for key, v in asdict(reason).items() if v != ""} for reason in baseline.history],
        "environments": [{"id": name, **summary.environments[name]} for name in sorted(used)],
        "cells": [{"cell": cell, "config": dict(config)} for cell, config in cells.items()],
        "runs": [_table(run, summary.metric) for run in summary.runs],
    }
    lines = [f"{key} = {format_toml(value)}" for key, value in top.items()]
    for name, tables in arrays.items():
        lines += ["", f"{name} = [", *(f"    {format_toml(table)}," for table in tables), "]"]
    return _HEAD + "\n".join([*lines, "", "[end]", f"runs = {len(summary.runs)}", ""])


def _table(run: RunSummary, metric: Metric) -> dict[str, object]:
    """The keys of a run in the file: the most important first, hashes last, without empty values.

    The syncs of a run with a period are omitted, because they can be computed.
    """
    sync_steps = () if run.period is not None else run.first_syncs[:MAX_SYNC_STEPS]
    table = {**asdict(run), "first_syncs": ", ".join(map(_sync_text, sync_steps))}
    table["payload"] = {kind: _size(sizes) for kind, sizes in sorted(run.payload.items())}
    table["bytes_to"] = dict(sorted(run.bytes_to.items()))
    middle = [key for key in table if key not in {*_FIRST, *_LAST, "steps_to", "config"}]
    unused = {"loss"} if metric.source == "accuracy" else set()
    order = [key for key in (*_FIRST, *middle, *_LAST) if key not in unused]
    return {key: table[key] for key in order if table[key] not in (None, {}, "")}


def _size(sizes: tuple[int, ...]) -> int | list[int]:
    """The size if there is only one, as nearly always; else the list of sizes."""
    return sizes[0] if len(sizes) == 1 else list(sizes)


def _sync_text(sync: Sync) -> str:
    return f"{sync.step}" if math.isnan(sync.estimate) else f"{sync.step} {sync.estimate:.4g}"


def new_baseline(summary: ResultsSummary, revision: str, fdabench: str = "") -> Baseline:
    """Create a baseline.

    Args:
        summary: the runs of the baseline.
        revision, fdabench: as in `AcceptedChange`.

    Raises:
        UsageError: a cell has no result, or there are no cells.
    """
    _check_complete(summary)
    return Baseline(summary, (AcceptedChange("first baseline", len(summary.runs), revision, fdabench),))


def accept(
    old: Baseline, new: ResultsSummary, reason: str, revision: str, fdabench: str = ""
) -> tuple[Baseline, BaselineDiff]:
    """Update a baseline with the runs that changed.

    Runs that the suite no longer has are removed. A run of which only the environment differs is not changed, because
    its numbers are the same.

    Args:
        old: the baseline.
        new: the results to accept.
        reason: why the new numbers are right.
        revision, fdabench: as in `AcceptedChange`.

    Returns:
        The new baseline, and how many runs differ from the old one.

    Raises:
        UsageError: the reason is empty, a cell has no result, or the results are of another suite.
    """
    if not reason.strip():
        raise UsageError("--reason is empty: state in a few words why these numbers are right")
    _check_complete(new)
    before, after = old.snapshot.by_id, new.by_id
    if old.snapshot.suite != new.suite and not before.keys() & after.keys():
        raise UsageError(
            f"the baseline is of the suite {old.snapshot.suite!r}, the results are of {new.suite!r}, and they have no "
            "run in common; `fdabench baseline save` writes a baseline of these results to another file"
        )
    runs = tuple(before[run.id] if _is_equal(before.get(run.id), run, new.metric) else run for run in new.runs)
    diff = BaselineDiff(
        changed=sum(run.id in before and run is not before[run.id] for run in runs),
        added=len(after.keys() - before.keys()),
        removed=len(before.keys() - after.keys()),
    )
    if sum(diff) == 0 and old.snapshot.protocol == new.protocol:
        return old, diff
    environments = {**old.snapshot.environments, **new.environments}
    updated = replace(new, runs=runs, environments=environments)
    # A reason is stored in one line of the file.
    entry = AcceptedChange(" ".join(reason.split()), sum(diff), revision, fdabench)
    return Baseline(updated, (*old.history, entry)), diff


def _is_equal(old: RunSummary | None, new: RunSummary, metric: Metric) -> bool:
    """Whether two runs have the same numbers in the file. Their environments may differ."""
    if old is None:
        return False
    return _table(replace(new, environment=old.environment), metric) == _table(old, metric)


def _check_complete(summary: ResultsSummary) -> None:
    """Raise UsageError if a cell has no result, or there are no cells."""
    if summary.unfinished or not summary.runs:
        names = sorted(f"{run.name} ({run.state})" for run in summary.unfinished.values())
        unfinished = join_first(names, 3)
        raise UsageError(f"{summary.suite}: a baseline needs a result for every cell; without one: {unfinished}")
