"""`fdabench status`: how far a run is, read from its folder."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fdabench.cli.console import AS_TABLE, print_table, say
from fdabench.cli.pace import Pace, pace
from fdabench.cli.states import RUNNING, cause, state_of
from fdabench.formatting import count, first_of, format_duration, listing, percent, significant
from fdabench.results.store import FAILURES, RESULTS, TO_DO, Record, Store, taken_apart
from fdabench.suite.cell import Cell
from fdabench.tables import Column, Table, column

STATES = (*RESULTS, *FAILURES, RUNNING, *TO_DO)
MOST_NAMES = 8
MOST_FAILED = 10


class Seen(NamedTuple):
    """One cell as it is now."""

    cell: Cell
    state: str
    record: Record
    pace: Pace | None


def print_status(root: Path, form: str) -> None:
    """A row for each state that occurs and one for all; below, how fast cells run and where, and what made them fail.

    Programs get all labels of a state, and of running and failed cells the same as rows under `details`.

    Raises:
        ResultError: no results here, or files that cannot be read or do not fit together.
    """
    with taken_apart(root):
        store = Store(root)
        lock = store.read_lock()
        seen = [_seen(store, entry) for entry in lock["cell"]]
        table = _table(seen, lock["suite"])
        if form == "json":
            details = [(each.state, _detail(each)) for each in seen if each.state in (RUNNING, *FAILURES)]
            records = [
                {**row, "details": [detail for state, detail in details if state == row["state"]]}
                for row in table.records
            ]
            table = replace(table, data=records)
        lines = [] if form in AS_TABLE else [*_running(seen), *_failed(seen, root)]
        # still inside `taken_apart`: a table writes its texts when it is printed, from whatever the files hold
        print_table(table, form)
        for line in lines:
            say(line)


def _seen(store: Store, entry: Mapping[str, Any]) -> Seen:
    cell, record = Cell(entry["config"], entry["label"], entry["reference"]), store.read_record(entry["id"])
    state = state_of(store, entry["id"], record)
    return Seen(cell, state, record or {}, pace(store, entry["id"], record) if record and state == RUNNING else None)


def _table(seen: Sequence[Seen], suite: str) -> Table:
    records = []
    for state in (*STATES, "all"):
        mine = [each for each in seen if state in (each.state, "all")]
        labels = list(dict.fromkeys(each.cell.label for each in mine))
        if mine or state == "all":
            records.append({"suite": suite, "state": state, "cells": len(mine), "which": labels})
    return Table(records, (column("state"), column("cells", write=count), Column("which", "which", _which)))


def _which(record: Mapping[str, Any]) -> str:
    return str(record["suite"]) if record["state"] == "all" else listing(record["which"], MOST_NAMES)


def _detail(each: Seen) -> dict[str, Any]:
    process, pace = each.record.get("process", {}), each.pace
    return {
        "cell": each.cell.id,
        "what": each.cell.title,
        "host": process.get("host"),
        "pid": process.get("pid"),
        "step": pace.step if pace else None,
        "budget": pace.budget if pace else None,
        "accuracy": pace.accuracy if pace else None,
        "steps_per_s": pace.steps_per_s if pace else None,
        "left_s": pace.left_s if pace else None,
        "error": cause(each.record) if "error" in each.record else None,
    }


def _running(seen: Sequence[Seen]) -> Iterator[str]:
    for each in seen:
        if each.state == RUNNING:
            process = each.record.get("process", {})
            where = f"on {process.get('host')}, process {process.get('pid')}"
            yield f"running  {each.cell.title}   {_pace(each.pace)}{where}"


def _pace(pace: Pace | None) -> str:
    if pace is None:
        return ""
    left = f"{format_duration(pace.left_s)} left  " if pace.left_s is not None else ""
    rate = f"{significant(pace.steps_per_s)} steps/s  " if pace.steps_per_s else ""
    return f"{count(pace.step)}/{count(pace.budget)} steps  {percent(pace.accuracy)}  {rate}{left}"


def _failed(seen: Sequence[Seen], root: Path) -> Iterator[str]:
    failed = [each for each in seen if each.state in FAILURES]
    lines = [f"{each.state}  {each.cell.title}\n       {cause(each.record)}" for each in failed]
    yield from first_of(lines, MOST_FAILED, "and {} more; --output-format json has all")
    if failed:
        yield f"traceback: {shlex.join(['fdabench', 'show', root.as_posix(), failed[0].cell.id])}"
