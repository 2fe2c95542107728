"""Merges several results folders of one suite into a new folder, for `fdabench merge`.

The folders may contain shards of the suite, whose locks are equal, or its runs with different seeds, whose locks are
joined. Any other difference between locks means that they are different suites. If a folder does not fit, nothing is
written.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from fdabench.errors import ResultError
from fdabench.formatting import truncate_list
from fdabench.regular_files import open_regular, read_regular
from fdabench.results.archive import opened
from fdabench.results.cell_record import FAILURE_STATES, PENDING_STATES, CellRecord
from fdabench.results.files import atomic_write, atomic_write_bytes
from fdabench.results.folder import OPTIONAL_TABLES, TABLES, ResultsFolder, corruption_as_result_error
from fdabench.results.load import Results, load, write_derived
from fdabench.results.schema import CLOCK_COLUMNS
from fdabench.results.suite_lock import LockedCell, SuiteLock

MAX_LISTED = 20
_FACTS = ("state", "steps", "seeds", "resolved")
"""Fields of a record that must be equal in two results of a cell; the others depend on where and when it was run."""
_PREFERRED = (*FAILURE_STATES, *PENDING_STATES)
_WRITTEN_BY = ("fdabench", "source", "suite_revision", "components")
"""Keys that do not affect the numbers: how the lock was written, and how that version describes its components."""
_JOINED = ("seeds", "cell")
_SEEDS = "seeds="
MOST_SHOWN = 60


class _FoundCell(NamedTuple):
    """The record of a cell in one of the folders."""

    store: ResultsFolder
    record: CellRecord


def merge(roots: Sequence[Path], out: Path) -> Results:
    """Write all cells of the folders into a new folder and derive its tables again.

    If several folders contain a cell, one with a result is copied in preference to a failed one, and a failed one in
    preference to an interrupted one.

    Args:
        roots: the results folders and archives to merge; an archive alone is unpacked.
        out: the new folder; it must not exist or must be empty.

    Returns:
        The content of the new folder.

    Raises:
        ResultError: `out` exists, or a folder is damaged, belongs to another suite, or has other numbers for the same
            cell. The message lists the problems, and nothing is written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ResultError(f"{out}: already exists; name a new folder, or an empty one")
    with ExitStack() as stack:
        sources = _read([stack.enter_context(opened(root)) for root in roots])
        lock = merge_locks([source.lock for source in sources])
        sources_by_cell = _take_cells(sources, [(cell.id, cell.label) for cell in lock.cell])
        with _new_folder(out) as folder:
            store = ResultsFolder(folder)
            store.write_lock(lock)
            for cell_id, cell_source in sources_by_cell.items():
                _copy(cell_id, cell_source, store)
            write_derived(load(folder))
    return load(out)


def _read(roots: Sequence[Path]) -> list[Results]:
    """Read all folders, and check that each is complete and belongs to the suite of the first."""
    sources: list[Results] = []
    faults: list[str] = []
    for root in roots:
        try:
            sources.append(_whole(root))
        except ResultError as error:
            faults.append(str(error))
    frozen = [LockedSuite(source.root, source.lock) for source in sources]
    faults += [fault for other in frozen[1:] for fault in suite_mismatches(frozen[0], other)]
    _refuse(faults)
    return sources


def _whole(root: Path) -> Results:
    """Read a folder, and check that its lock can be merged and that its records belong to its cells."""
    source = load(root)
    with corruption_as_result_error(root):
        # The user may have edited the gate of the lock, so it may have any value.
        merge_locks([source.lock])
        suite_mismatches(LockedSuite(root, source.lock), LockedSuite(root, source.lock))
    for cell in source.lock.cell:
        if (record := source.records.get(cell.id)) is not None:
            _check_record(root, cell, record)
    return source


def _check_record(root: Path, cell: LockedCell, record: CellRecord) -> None:
    """Raise a `ResultError` if the record or the measured traffic belongs to another cell."""
    if record.config.to_dict() != cell.config.to_dict():
        raise ResultError(f"{root}: cells/{cell.id}/cell.json belongs to another cell than suite.lock.toml lists")
    ResultsFolder(root).read_traffic(cell.id)


def _take_cells(sources: Sequence[Results], cells: Sequence[tuple[str, str]]) -> dict[str, _FoundCell]:
    """The record to copy for each cell that was started; the first of equally good ones."""
    selected, faults = {}, []
    for cell_id, label in cells:
        candidates = [
            _FoundCell(ResultsFolder(folder.root), folder.records[cell_id])
            for folder in sources
            if cell_id in folder.records
        ]
        faults += [f"cell {cell_id} ({label}): {fault}" for fault in _conflicts(cell_id, candidates)]
        if candidates:
            selected[cell_id] = min(candidates, key=_status_rank)
    _refuse(faults)
    return selected


def _status_rank(cell: _FoundCell) -> tuple[int, int]:
    """A key that sorts the best record first: by state, then by the number of steps."""
    record = cell.record
    return (0 if record.has_result else 1 + _PREFERRED.index(record.state)), -record.steps


def _conflicts(cell_id: str, candidates: Sequence[_FoundCell]) -> Iterator[str]:
    # A process that died early did not write the hashes of its code.
    hashed = [candidate for candidate in candidates if candidate.record.code]
    for other in hashed[1:]:
        if changed_files := _differing(hashed[0].record.code, other.record.code):
            yield f"{hashed[0].store.root} and {other.store.root} ran different code: {', '.join(changed_files)}"
            return
    finished = [candidate for candidate in candidates if candidate.record.has_result]
    for other in finished[1:]:
        what = _difference(cell_id, finished[0], other)
        if what:
            yield f"{finished[0].store.root} and {other.store.root} differ: {what}"


def _differing(left: Mapping[str, str], right: Mapping[str, str]) -> list[str]:
    return [name for name in sorted({**left, **right}) if left.get(name) != right.get(name)]


def _difference(cell_id: str, left: _FoundCell, right: _FoundCell) -> str:
    """Describe the first difference between two results of a cell, except in times; "" if there is none."""
    for key in _FACTS:
        one, two = getattr(left.record, key), getattr(right.record, key)
        if one != two:
            return f"{key} is {one!r:.60} and {two!r:.60}"
    for name in TABLES:
        tables = [side.store.read_cell_table(cell_id, name) for side in (left, right)]
        if what := _first_difference(*tables):
            return f"{name}: {what}"
    return ""


def _first_difference(left: pa.Table, right: pa.Table) -> str:
    if left.num_rows != right.num_rows:
        return f"{left.num_rows} and {right.num_rows} rows"
    for column in left.column_names:
        one, two = (table[column].to_pandas() for table in (left, right))
        if column not in CLOCK_COLUMNS and not one.equals(two):
            row = int(((one != two) & ~(one.isna() & two.isna())).to_numpy().argmax())
            return f"{column} in row {row} is {left[column][row]} and {right[column][row]}"
    return ""


def _copy(cell_id: str, source: _FoundCell, store: ResultsFolder) -> None:
    """Copy the tables of a cell with a result, or the checkpoint of any other cell, and then the record.

    Other files are not copied, because a run may be writing to the folder at the same time.
    """
    origin, target = source.store.cell_dir(cell_id), store.cell_dir(cell_id)
    try:
        if source.record.has_result:
            for name in (*TABLES, *(name for name in OPTIONAL_TABLES if (origin / f"{name}.parquet").exists())):
                atomic_write_bytes(target / f"{name}.parquet", read_regular(origin / f"{name}.parquet"))
        elif (checkpoint := source.store.checkpoint_path(cell_id)).exists():
            with open_regular(checkpoint) as stream:
                atomic_write(store.checkpoint_path(cell_id), lambda file: shutil.copyfileobj(stream, file))
    except OSError as error:
        raise ResultError(f"{origin}: cannot be read: {error.strerror}") from error
    store.write_record(source.record)


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """Create a temporary folder beside `out`, and rename it to `out` at the end; remove it if an error occurs."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as name:
            # A subfolder, because only its owner may read the temporary folder itself.
            folder = Path(name) / out.name
            folder.mkdir()
            yield folder
            os.rename(folder, out)
    except OSError as error:
        raise ResultError(f"{out}: cannot be written: {error.strerror}") from error


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        raise ResultError("\n".join(truncate_list(faults, MAX_LISTED, "and {} more like these")))


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
