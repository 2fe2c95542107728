"""`fdabench status`: prints how many cells are done, running or failed, read from the results folder."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import NamedTuple

from fdabench.cli.console import AS_TABLE, print_result, print_table
from fdabench.cli.display.pace import CellPace, read_pace
from fdabench.cli.display.states import RUNNING, describe_cause, live_state
from fdabench.formatting import (
    format_count,
    format_duration,
    format_significant,
    join_first,
    truncate_list,
)
from fdabench.metrics import METRICS, Metric
from fdabench.results.cell_record import FAILURE_STATES, PENDING_STATES, SUCCESS_STATES, CellRecord
from fdabench.results.folder import ResultsFolder, corruption_as_result_error
from fdabench.results.suite_lock import LockedCell
from fdabench.suite.cell import Cell
from fdabench.tables import Column, Record, Table, column

STATES = (*SUCCESS_STATES, *FAILURE_STATES, RUNNING, *PENDING_STATES)
MOST_NAMES = 8
"""Strategies of a state that are listed at most."""
MOST_FAILED = 10
"""Failed cells that are listed at most."""


class CellState(NamedTuple):
    """The current state of one cell."""

    cell: Cell
    state: str
    record: CellRecord | None
    pace: CellPace | None
    """The progress of a running cell; None if the cell is not running, or has written no note yet."""


def print_status(root: Path, form: str) -> None:
    """Print a row for each state that occurs and one for all cells, then the progress of running cells and the errors.

    JSON has all labels of a state. Its key `details` has a record for each running and each failed cell.

    Args:
        root: the results folder.
        form: one of `options.Format`.

    Raises:
        ResultError: there are no results, or files cannot be read or contradict each other.
    """
    with corruption_as_result_error(root):
        store = ResultsFolder(root)
        lock = store.read_lock()
        views = [_read_view(store, locked) for locked in lock.cell]
        table = _state_table(views, lock.suite)
        if form == "json":
            details = [(view.state, _cell_details(view)) for view in views if view.state in (RUNNING, *FAILURE_STATES)]
            records = [
                {**row, "details": [detail for state, detail in details if state == row["state"]]}
                for row in table.records
            ]
            table = replace(table, data=records)
        lines = [] if form in AS_TABLE else [*_running_lines(views, METRICS[lock.metric]), *_failed_lines(views, root)]
        # inside `corruption_as_result_error`: values are formatted when the table is printed, and may be of any type
        print_table(table, form)
        for line in lines:
            print_result(line)


def _read_view(store: ResultsFolder, locked: LockedCell) -> CellState:
    record = store.read_record(locked.id)
    state = live_state(store, locked.id, record)
    pace = read_pace(store, locked.id, record) if record and state == RUNNING else None
    return CellState(Cell.from_lock(locked), state, record, pace)


def _state_table(views: Sequence[CellState], suite: str) -> Table:
    records = []
    for state in (*STATES, "all"):
        matching = [view for view in views if state in (view.state, "all")]
        labels = list(dict.fromkeys(view.cell.label for view in matching))
        if matching or state == "all":
            records.append({"suite": suite, "state": state, "cells": len(matching), "which": labels})
    return Table(
        records, (column("state"), column("cells", write=format_count), Column("which", "which", _format_which))
    )


def _format_which(record: Record) -> str:
    return str(record["suite"]) if record["state"] == "all" else join_first(record["which"], MOST_NAMES)


def _cell_details(view: CellState) -> dict[str, object]:
    record, pace = view.record, view.pace
    process = record.process if record else None
    return {
        "cell": view.cell.id,
        "what": view.cell.title,
        "host": process.host if process else None,
        "pid": process.pid if process else None,
        "step": pace.step if pace else None,
        "budget": pace.budget if pace else None,
        "accuracy": pace.accuracy if pace else None,
        "loss": pace.loss if pace and isfinite(pace.loss) else None,
        "steps_per_s": pace.steps_per_s if pace else None,
        "left_s": pace.left_s if pace else None,
        "error": describe_cause(record) if record and record.error else None,
    }


def _running_lines(views: Sequence[CellState], metric: Metric) -> Iterator[str]:
    for view in views:
        if view.record and view.record.process and view.state == RUNNING:
            location = f"on {view.record.process.host}, process {view.record.process.pid}"
            yield f"running  {view.cell.title}   {_format_pace(view.pace, metric)}{location}"


def _format_pace(pace: CellPace | None, metric: Metric) -> str:
    if pace is None:
        return ""
    left = f"{format_duration(pace.left_s)} left  " if pace.left_s is not None else ""
    rate = f"{format_significant(pace.steps_per_s)} steps/s  " if pace.steps_per_s else ""
    value = metric.format(metric.convert(pace.accuracy if metric.source == "accuracy" else pace.loss))
    return f"{format_count(pace.step)}/{format_count(pace.budget)} steps  {value}  {rate}{left}"


def _failed_lines(views: Sequence[CellState], root: Path) -> Iterator[str]:
    failed = [(view.cell, view.record) for view in views if view.record and view.state in FAILURE_STATES]
    lines = [f"{record.state}  {cell.title}\n       {describe_cause(record)}" for cell, record in failed]
    yield from truncate_list(lines, MOST_FAILED, "and {} more; --output-format json prints all")
    if failed:
        yield f"traceback: {shlex.join(['fdabench', 'show', root.as_posix(), failed[0][0].id])}"
