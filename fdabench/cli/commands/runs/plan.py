"""`fdabench plan`: prints what `fdabench run` would do."""

from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import NamedTuple

from fdabench.cli.commands.runs.extrapolate import parse_target_scale, print_extrapolation
from fdabench.cli.console import AS_TABLE, print_note, print_result, print_table
from fdabench.cli.display.plan_table import cells_table, forecast_cells, strategies_table, total
from fdabench.cli.suites import grid_summary, load_suite, results_dir
from fdabench.datasets.base import data_dir
from fdabench.execution.plugin_data import hash_plugin_data
from fdabench.execution.preflight import default_jobs, parse_device
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.status import FINISHED_STATUSES, cell_statuses, mark_all_to_run, summarize
from fdabench.formatting import format_bytes, format_duration, plural
from fdabench.planning.activations import peak_bytes
from fdabench.planning.time import estimated_seconds, step_seconds
from fdabench.registry.registry import Registry
from fdabench.results.folder import ResultsFolder
from fdabench.suite.cell import Cell
from fdabench.suite.selection import select
from fdabench.validation.fleet_file import named_fleets


class PlanRequest(NamedTuple):
    """The command line of `plan`: the suite, which of its cells are selected, and how much is printed."""

    suite: Path
    out: Path | None
    data_dir: Path | None
    sets: tuple[str, ...]
    seeds: str | None
    expression: str | None
    fresh: bool
    every_cell: bool
    """Print a row for every cell instead of one for each strategy and workload."""
    fleets: tuple[str, ...] = ()
    """The values of `--fleet`."""


def print_plan(request: PlanRequest, form: str) -> None:
    """Print a row for each strategy and workload, or for every cell; then the bytes and the time of the cells to run.

    Args:
        request: the command line.
        form: one of `options.Format`.

    Raises:
        SuiteError: the suite is wrong.
        UsageError, ResultError: a fleet is unknown or invalid.
        WorkloadError: data that a plug-in loads is needed to decide whether a result is stale, and cannot be loaded.
    """
    fleets = named_fleets(request.fleets)
    suite = load_suite(request.suite, request.sets, request.seeds)
    store = ResultsFolder(results_dir(suite, request.out))
    cells = select(suite.cells, request.expression) if request.expression else suite.cells
    statuses = cell_statuses(cells, store, _hash_begun_data(cells, store, request.data_dir, suite.registry))
    if request.fresh:
        statuses = mark_all_to_run(statuses)
    print_note(f"{suite.suite.name}: {grid_summary(suite)}  ->  {store.root.as_posix()}")
    convention = suite.suite.accounting.convention
    pending = [request.fresh or status.status not in FINISHED_STATUSES for status in statuses]
    # the time of a step of a cell without a result is estimated from the cells with one
    estimates_time = bool(fleets) or (any(pending) and form not in AS_TABLE)
    step_s = step_seconds([status.cell for status in statuses], store, suite.registry) if estimates_time else []
    planned = forecast_cells(statuses, convention, suite.registry, fleets, step_s)
    print_table((cells_table if request.every_cell else strategies_table)(planned, convention), form)
    if form in AS_TABLE:
        return
    to_run, pending_step_s = list(compress(planned, pending)), list(compress(step_s, pending))
    jobs = default_jobs(parse_device("auto"))
    seconds = estimated_seconds([cost.cell_status.cell for cost in to_run], pending_step_s, jobs, suite.registry)
    remaining = f": {total(to_run)}, about {format_duration(seconds)} with --jobs {jobs}" if to_run else ""
    print_result(f"total: {plural(len(statuses), 'cell')}, {total(planned)}")
    if memory := _largest_process([cost.cell_status.cell for cost in to_run], suite.registry):
        print_note(f"memory: at most about {format_bytes(memory)} for each process, without the data sets")
    print_result(f"{summarize(statuses)}{remaining}")


def _largest_process(cells: Sequence[Cell], registry: Registry) -> int | None:
    """The largest estimate of the memory of a process; None if there is none for a cell, or there are no cells."""
    estimates = [_peak_bytes(ResolvedCell(cell.config, registry)) for cell in cells]
    numbers = [estimate for estimate in estimates if estimate is not None]
    return max(numbers) if numbers and len(numbers) == len(estimates) else None


def _peak_bytes(cell: ResolvedCell) -> int | None:
    """The memory of a process, or None if the strategy cannot be built for the numbers of the cell."""
    try:
        return peak_bytes(cell)
    except Exception:  # as `ResolvedCell.strategy`; the cell fails when it is run, and its record has the error
        return None


def _hash_begun_data(cells: Sequence[Cell], store: ResultsFolder, data: Path | None, registry: Registry) -> Registry:
    """Return the registry with hashes of the data that plug-ins load, which decide whether a result is stale.

    Data sets whose cells have no results are not loaded.

    Raises:
        WorkloadError: such data cannot be loaded.
    """
    names = [cell.config.dataset for cell in cells if store.read_record(cell.id) is not None]
    return hash_plugin_data(names, data_dir(data), registry).registry


def print_extrapolation_command(
    path: Path,
    out: Path | None,
    sets: Sequence[str],
    seeds: str | None,
    expression: str | None,
    target: str,
    results: Path | None,
    fleets: Sequence[str],
    form: str,
) -> None:
    """Print the cost of the suite's strategies with other numbers of workers, parameters and steps.

    Args:
        path: the suite file.
        out: the value of `--out`, or None.
        sets: values of `--set`.
        seeds: the value of `--seeds`, or None.
        expression: the value of `-k`, or None.
        target: the value of `--extrapolate`.
        results: the value of `--results`, or None for the results folder of the suite.
        fleets: the values of `--fleet`.
        form: one of `options.Format`.

    Raises:
        UsageError: `target` is wrong.
        ResultError: the results cannot be read, or have no cell of the suite.
    """
    parsed, machines = parse_target_scale(target), named_fleets(fleets)
    suite = load_suite(path, sets, seeds)
    rates = results or results_dir(suite, out)
    print_extrapolation(suite, parsed, rates, expression, results is not None, machines, form)
