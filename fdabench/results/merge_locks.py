"""Merges the frozen suites of several results folders, for `results.merge`.

The locks of shards are equal. The locks of runs with different seeds are joined. Any other difference means that they
are different suites.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdabench.results.suite_lock import LockedCell, SuiteLock

_WRITTEN_BY = ("fdabench", "source", "suite_revision", "components")
"""Keys that do not affect the numbers: how the lock was written, and how that version describes its components."""
_JOINED = ("seeds", "cell")
_SEEDS = "seeds="
MOST_SHOWN = 60


class LockedSuite(NamedTuple):
    """A results folder and its frozen suite."""

    root: Path
    lock: SuiteLock


def suite_mismatches(first: LockedSuite, other: LockedSuite) -> list[str]:
    """Return the reasons why `other` does not contain results of the suite of `first`; empty if it does."""
    if other.lock.suite != first.lock.suite:
        return [f"{other.root}: holds results of the suite {other.lock.suite!r}, not {first.lock.suite!r}"]
    expected, actual = _settings(first.lock), _settings(other.lock)
    changed_keys = [
        f"{other.root}: {key} is {_format_value(actual.get(key))}; "
        f"in {first.root} it is {_format_value(expected.get(key))}"
        for key in {**expected, **actual}
        if actual.get(key) != expected.get(key)
    ]
    return changed_keys or _other_grid(first, other)


def merge_locks(locks: Sequence[SuiteLock]) -> SuiteLock:
    """Merge locks of the same suite.

    Cells are in the order of the grid of the first lock, seeds in the order in which they first occur.

    Args:
        locks: locks without mismatches (see `suite_mismatches`).

    Raises:
        ValueError: the gate of a lock is not a table.
    """
    first = locks[0]
    cells: dict[str, dict[str, LockedCell]] = {}
    for lock in locks:
        for cell in lock.cell:
            cells.setdefault(_without_seed(cell), {}).setdefault(cell.id, cell)
    ordered = [cell for copies in cells.values() for cell in copies.values()]
    seeds = list(dict.fromkeys(seed for lock in locks for seed in lock.seeds))
    changes: dict[str, object] = {"seeds": seeds, "cell": ordered}
    if seeds != first.seeds:
        changes["overrides"] = [*_other_overrides(first), f"{_SEEDS}{seeds}"]
    if gate := _gate(first):
        changes["gate"] = {**gate, "limit": _limits(locks, [cell.id for cell in ordered])}
    return first.with_changes(changes)


def _settings(lock: SuiteLock) -> dict[str, object]:
    """All settings of a suite except its seeds, its cells and `_WRITTEN_BY`."""
    settings = lock.model_dump(exclude={*_WRITTEN_BY, *_JOINED}, exclude_unset=True, exclude_none=True)
    gate = _gate(lock)
    gate["limit"] = [_without_cells(limit) for limit in gate.get("limit", [])]
    return {**settings, "overrides": _other_overrides(lock), "gate": gate}


def _gate(lock: SuiteLock) -> dict[str, Any]:
    """The settings of the gate.

    Raises:
        ValueError: the gate is not a table; the file was edited.
    """
    if not isinstance(lock.gate, dict):
        raise ValueError(f"gate: expected a table, found {lock.gate!r:.60}")
    return dict(lock.gate)


def _other_overrides(lock: SuiteLock) -> list[str]:
    return [override for override in lock.overrides if not override.replace(" ", "").startswith(_SEEDS)]


def _other_grid(first: LockedSuite, other: LockedSuite) -> list[str]:
    expected, actual = _grid(first.lock), _grid(other.lock)
    only = [(first.root, expected[key]) for key in expected if key not in actual]
    only += [(other.root, actual[key]) for key in actual if key not in expected]
    if not only:
        return []
    root, cell = only[0]
    location = f"{cell.label} on {cell.config.dataset}, {cell.config.workers} workers"
    return [f"{other.root}: its grid is not that of {first.root}, whatever the seeds: only {root} has {location}"]


def _grid(lock: SuiteLock) -> dict[str, LockedCell]:
    return {_without_seed(cell): cell for cell in lock.cell}


def _without_seed(cell: LockedCell) -> str:
    config = {key: value for key, value in cell.config.to_dict().items() if key != "seed"}
    return json.dumps([cell.label, cell.reference, config], sort_keys=True)


def _limits(locks: Sequence[SuiteLock], ordered: Sequence[str]) -> list[dict[str, object]]:
    """Each limit, with all cells that it applies to in any of the locks."""
    by_limit = zip(*(_gate(lock)["limit"] for lock in locks), strict=True)
    limits = []
    for copies in by_limit:
        ids = {cell_id for limit in copies for cell_id in limit["cells"]}
        limits.append({**copies[0], "cells": [cell_id for cell_id in ordered if cell_id in ids]})
    return limits


def _without_cells(limit: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in limit.items() if key != "cells"}


def _format_value(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."
