"""`fdabench status`: how far a run is, read from its folder."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fdabench.cli.console import AS_TABLE, print_result, print_table
from fdabench.cli.pace import CellPace, read_pace
from fdabench.cli.states import RUNNING, describe_cause, live_state
from fdabench.formatting import (
    format_count,
    format_duration,
    format_percent,
    format_significant,
    join_first,
    truncate_list,
)
from fdabench.results.cell_record import FAILURE_STATES, PENDING_STATES, SUCCESS_STATES, CellRecord
from fdabench.results.folder import ResultsFolder, corruption_as_result_error
from fdabench.results.suite_lock import LockedCell
from fdabench.suite.cell import Cell
from fdabench.tables import Column, Table, column

STATES = (*SUCCESS_STATES, *FAILURE_STATES, RUNNING, *PENDING_STATES)
MOST_NAMES = 8
MOST_FAILED = 10


class CellView(NamedTuple):
    """One cell as it is now."""

    cell: Cell
    state: str
    record: CellRecord | None
    pace: CellPace | None


def print_status(root: Path, form: str) -> None:
    """A row for each state that occurs and one for all; below, how fast cells run and where, and what made them fail.

    Programs get all labels of a state, and of running and failed cells the same as rows under `details`.

    Raises:
        ResultError: no results here, or files that cannot be read or do not fit together.
    """
    with corruption_as_result_error(root):
        store = ResultsFolder(root)
        lock = store.read_lock()
        seen = [_seen(store, locked) for locked in lock.cell]
        table = _table(seen, lock.suite)
        if form == "json":
            details = [(each.state, _detail(each)) for each in seen if each.state in (RUNNING, *FAILURE_STATES)]
            records = [
                {**row, "details": [detail for state, detail in details if state == row["state"]]}
                for row in table.records
            ]
            table = replace(table, data=records)
        lines = [] if form in AS_TABLE else [*_running(seen), *_failed(seen, root)]
        # within `corruption_as_result_error`: a table formats values when it is printed, and files may hold anything
        print_table(table, form)
        for line in lines:
            print_result(line)


def _seen(store: ResultsFolder, locked: LockedCell) -> CellView:
    record = store.read_record(locked.id)
    state = live_state(store, locked.id, record)
    pace = read_pace(store, locked.id, record) if record and state == RUNNING else None
    return CellView(Cell.from_lock(locked), state, record, pace)


def _table(seen: Sequence[CellView], suite: str) -> Table:
    records = []
    for state in (*STATES, "all"):
        mine = [each for each in seen if state in (each.state, "all")]
        labels = list(dict.fromkeys(each.cell.label for each in mine))
        if mine or state == "all":
            records.append({"suite": suite, "state": state, "cells": len(mine), "which": labels})
    return Table(records, (column("state"), column("cells", write=format_count), Column("which", "which", _which)))


def _which(record: Mapping[str, Any]) -> str:
    return str(record["suite"]) if record["state"] == "all" else join_first(record["which"], MOST_NAMES)


def _detail(each: CellView) -> dict[str, Any]:
    record, pace = each.record, each.pace
    process = record.process if record else None
    return {
        "cell": each.cell.id,
        "what": each.cell.title,
        "host": process.host if process else None,
        "pid": process.pid if process else None,
        "step": pace.step if pace else None,
        "budget": pace.budget if pace else None,
        "accuracy": pace.accuracy if pace else None,
        "steps_per_s": pace.steps_per_s if pace else None,
        "left_s": pace.left_s if pace else None,
        "error": describe_cause(record) if record and record.error else None,
    }


def _running(seen: Sequence[CellView]) -> Iterator[str]:
    for each in seen:
        if each.record and each.record.process and each.state == RUNNING:
            where = f"on {each.record.process.host}, process {each.record.process.pid}"
            yield f"running  {each.cell.title}   {_pace(each.pace)}{where}"


def _pace(pace: CellPace | None) -> str:
    if pace is None:
        return ""
    left = f"{format_duration(pace.left_s)} left  " if pace.left_s is not None else ""
    rate = f"{format_significant(pace.steps_per_s)} steps/s  " if pace.steps_per_s else ""
    return f"{format_count(pace.step)}/{format_count(pace.budget)} steps  {format_percent(pace.accuracy)}  {rate}{left}"


def _failed(seen: Sequence[CellView], root: Path) -> Iterator[str]:
    failed = [(each.cell, each.record) for each in seen if each.record and each.state in FAILURE_STATES]
    lines = [f"{record.state}  {cell.title}\n       {describe_cause(record)}" for cell, record in failed]
    yield from truncate_list(lines, MOST_FAILED, "and {} more; --output-format json has all")
    if failed:
        yield f"traceback: {shlex.join(['fdabench', 'show', root.as_posix(), failed[0][0].id])}"
