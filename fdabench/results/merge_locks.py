"""The frozen suites of several results folders as one: of shards they are the same, of runs of other seeds they are
joined. Whatever else is not the same makes it another suite.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Lock = Mapping[str, Any]

_WRITTEN_BY = ("fdabench", "source", "suite_revision", "components")
"""Who ran it, and how that version describes its components: of no consequence for the numbers."""
_JOINED = ("seeds", "cell")
_SEEDS = "seeds="
MOST_SHOWN = 60


class LockedSuite(NamedTuple):
    """A folder's suite."""

    root: Path
    lock: Lock


def suite_mismatches(first: LockedSuite, other: LockedSuite) -> list[str]:
    """Why `other` holds no results of the suite of `first`; nothing where it does."""
    if other.lock["suite"] != first.lock["suite"]:
        return [f"{other.root}: holds results of the suite {other.lock['suite']!r}, not {first.lock['suite']!r}"]
    mine, its = _settings(first.lock), _settings(other.lock)
    told = [
        f"{other.root}: {key} is {_format_value(its.get(key))}; in {first.root} it is {_format_value(mine.get(key))}"
        for key in {**mine, **its}
        if its.get(key) != mine.get(key)
    ]
    return told or _other_grid(first, other)


def merge_locks(locks: Sequence[Lock]) -> dict[str, Any]:
    """One for locks of the same suite: their cells in the order of the first one's grid, their seeds as they come."""
    cells: dict[str, dict[str, Any]] = {}
    for lock in locks:
        for cell in lock["cell"]:
            cells.setdefault(_without_seed(cell), {}).setdefault(cell["id"], cell)
    ordered = [cell for alike in cells.values() for cell in alike.values()]
    seeds = list(dict.fromkeys(seed for lock in locks for seed in lock["seeds"]))
    one = {**locks[0], "seeds": seeds, "cell": ordered}
    if seeds != locks[0]["seeds"]:
        one["overrides"] = [*_other_overrides(locks[0]), f"{_SEEDS}{seeds}"]
    if locks[0].get("gate"):
        one["gate"] = {**locks[0]["gate"], "limit": _limits(locks, [cell["id"] for cell in ordered])}
    return one


def _settings(lock: Lock) -> dict[str, Any]:
    """All of a suite that is no matter of seeds, or of who wrote it down."""
    kept = {key: value for key, value in lock.items() if key not in (*_WRITTEN_BY, *_JOINED)}
    gate = dict(lock.get("gate", {}))
    gate["limit"] = [_without_cells(limit) for limit in gate.get("limit", [])]
    return {**kept, "overrides": _other_overrides(lock), "gate": gate}


def _other_overrides(lock: Lock) -> list[str]:
    return [override for override in lock.get("overrides", []) if not override.replace(" ", "").startswith(_SEEDS)]


def _other_grid(first: LockedSuite, other: LockedSuite) -> list[str]:
    mine, its = _grid(first.lock), _grid(other.lock)
    only = [(first.root, mine[key]) for key in mine if key not in its]
    only += [(other.root, its[key]) for key in its if key not in mine]
    if not only:
        return []
    root, cell = only[0]
    where = f"{cell['label']} on {cell['config'].get('dataset')}, {cell['config'].get('workers')} workers"
    return [f"{other.root}: its grid is not that of {first.root}, whatever the seeds: only {root} has {where}"]


def _grid(lock: Lock) -> dict[str, Mapping[str, Any]]:
    return {_without_seed(cell): cell for cell in lock["cell"]}


def _without_seed(cell: Mapping[str, Any]) -> str:
    config = {key: value for key, value in cell["config"].items() if key != "seed"}
    return json.dumps([cell["label"], cell["reference"], config], sort_keys=True)


def _limits(locks: Sequence[Lock], ordered: Sequence[str]) -> list[dict[str, Any]]:
    """Each limit with the cells that it is for in any of them."""
    together = zip(*(lock["gate"]["limit"] for lock in locks), strict=True)
    found = []
    for alike in together:
        ids = {cell_id for limit in alike for cell_id in limit["cells"]}
        found.append({**alike[0], "cells": [cell_id for cell_id in ordered if cell_id in ids]})
    return found


def _without_cells(limit: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in limit.items() if key != "cells"}


def _format_value(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."
