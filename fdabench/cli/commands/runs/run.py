"""`fdabench run`: runs the cells without a current result, reports progress and prints the conclusion."""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import typer

from fdabench.cli.display.conclusion import conclusion_printer
from fdabench.cli.display.event_lines import ResultLines
from fdabench.cli.display.progress import EvaluationLog, ProgressNotes, ProgressReporter, Verbosity, progress_reporter
from fdabench.cli.distributed import DistributedOptions, parse_distributed, run_follower_ranks
from fdabench.cli.option_values import parse_duration, parse_shard
from fdabench.cli.stop import StopRequest, capture_signals
from fdabench.cli.suites import grid_summary, load_suite, results_dir
from fdabench.datasets.base import data_dir
from fdabench.errors import UsageError, did_you_mean
from fdabench.execution.backend import Backend
from fdabench.execution.events import CellFinished, Event, log_event
from fdabench.execution.lease import discard_checkpoints
from fdabench.execution.local_backend import LocalBackend
from fdabench.execution.plugin_data import hash_plugin_data
from fdabench.execution.preflight import ExecutionOptions, make_context
from fdabench.execution.scheduler import run_cells
from fdabench.experiment.execution_config import DistributedConfig
from fdabench.experiment.git import revision_at
from fdabench.experiment.status import (
    CellStatus,
    attempts,
    cell_statuses,
    finished_attempts,
    mark_all_to_run,
    summarize,
)
from fdabench.export.live import open_live_log
from fdabench.results.cell_record import FAILURE_STATES
from fdabench.results.folder import ResultsFolder
from fdabench.results.load import Results, load, write_derived
from fdabench.results.suite_lock import SuiteLock
from fdabench.run_log import LogFollower, rotate, run_log
from fdabench.suite.cell import Cell
from fdabench.suite.reader import LoadedSuite
from fdabench.suite.selection import select

SOME_FAILED = 3
"""The exit code if a cell failed."""

PROCESSES, RAY = EXECUTORS = ("processes", "ray")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BackendOptions:
    """The options of `run` for where cells are computed."""

    executor: str
    ray_address: str | None
    distributed: DistributedOptions


@dataclass(frozen=True)
class SelectionOptions:
    """The options of `run` for which cells are run, and when the run stops."""

    expression: str | None
    shard: str | None
    fresh: bool
    retry_failed: bool
    fail_fast: bool
    max_time: str | None


@dataclass(frozen=True)
class RunOptions:
    """The command line of `run`."""

    suites: tuple[Path, ...]
    out: Path | None
    data_dir: Path | None
    execution: ExecutionOptions
    backend: BackendOptions
    sets: tuple[str, ...]
    seeds: str | None
    selection: SelectionOptions
    verbosity: Verbosity
    log_to: str | None
    """The value of `--log-to`, or None."""
    form: str
    """How the conclusion is printed: one of `options.Format`."""


def run_suites(request: RunOptions) -> None:
    """Run the suites one after another. All suites are read before the first one is run.

    Raises:
        UsageError: an option is wrong.
        SuiteError: a suite is wrong.
        KeyboardInterrupt, Terminated, TimeLimitReached: the run was stopped and cells are left.
        typer.Exit: a cell failed; the exit code is `SOME_FAILED`.
    """
    selection, execution = request.selection, request.execution
    launch = parse_distributed(execution.engine, request.backend.distributed)
    stop = StopRequest(
        monotonic() + (parse_duration("--max-time", selection.max_time) if selection.max_time else float("inf"))
    )
    suites = [load_suite(path, request.sets, request.seeds) for path in request.suites]
    if launch is not None and not launch.config.is_rank_zero:
        run_follower_ranks(suites, launch, execution.device, execution.threads, data_dir(request.data_dir))
        return
    failed = False
    processes = launch.config.size if launch else 1
    with (
        conclusion_printer(request.form) as conclude,
        select_backend(request.backend.executor, request.backend.ray_address, execution.jobs, processes) as backend,
    ):
        for index, suite in enumerate(suites):
            failed |= _run_suite(
                suite, request, stop, launch.config_for_suite(index) if launch else None, backend, conclude
            )
            if failed and selection.fail_fast:
                break
    if failed:
        raise typer.Exit(SOME_FAILED)


def _run_suite(
    suite: LoadedSuite,
    request: RunOptions,
    stop: StopRequest,
    distributed: DistributedConfig | None,
    backend: Backend,
    conclude: Callable[[Results], None],
) -> bool:
    """Run the cells of one suite and print its conclusion.

    Returns:
        Whether a cell failed, in this run or in an earlier one.

    Raises:
        KeyboardInterrupt, Terminated, TimeLimitReached: cells are left. Results are saved and the conclusion is
            printed.
    """
    store = ResultsFolder(_results_folder(suite, request))
    selected = _select_cells(suite, request.selection)
    # with --fresh, an attempt of another run that is under way may have resumed from an old checkpoint
    previous_attempts = attempts(selected, store) if request.selection.fresh else finished_attempts(selected, store)
    hashed = hash_plugin_data([cell.config.dataset for cell in selected], data_dir(request.data_dir), suite.registry)
    statuses = cell_statuses(selected, store, hashed.registry)
    if request.selection.fresh:
        statuses = mark_all_to_run(statuses)
    to_run = [status.cell for status in statuses if _is_to_run(status, request.selection)]
    context = make_context(to_run, store, hashed, data_dir(request.data_dir), request.execution, distributed)
    backend.check(to_run, context)
    live_log = open_live_log(request.log_to, store.root / "live") if request.log_to else None
    lock = _freeze(suite)
    store.write_lock(lock)
    discard_checkpoints(
        [status.cell.id for status in statuses if request.selection.fresh or status.status == "done"], store
    )
    with capture_signals(stop):
        with progress_reporter(request.verbosity, len(to_run), ResultLines(store, lock)) as reporter:
            reporter.print_line(f"{suite.suite.name}: {grid_summary(suite)}  ->  {store.root.as_posix()}")
            reporter.print_line(f" {summarize(statuses)}")
            rotate(store.root)
            log = LogFollower(store.root) if request.verbosity is Verbosity.VERBOSE else None
            with (
                run_log(store.root if to_run else None),
                closing(EvaluationLog(live_log, reporter.print_line)) as evaluations,
                closing(run_cells(to_run, context, backend, stop.is_requested, previous_attempts)) as events,
            ):
                logger.info("%s: %d of %d cells to run: %s", suite.suite.name, len(to_run), len(selected), suite.source)
                listeners: list[ProgressNotes | EvaluationLog] = [ProgressNotes(store), evaluations]
                ended = _handle_events(events, reporter, listeners, stop, request.selection.fail_fast, log)
        results = load(store.root)
        write_derived(results)
        conclude(results)
    if len(ended) < len(to_run):
        stop.raise_reason()
    return any(state in FAILURE_STATES for state in ended) or any(
        status.status == "failed" and status.cell not in to_run for status in statuses
    )


def _freeze(suite: LoadedSuite) -> SuiteLock:
    """Return the frozen suite. If a git repository holds the suite file, its revision is added."""
    lock, revision = suite.to_lock(), revision_at(Path(suite.source).parent)
    return lock.with_changes({"suite_revision": revision}) if revision else lock


def _select_cells(suite: LoadedSuite, selection: SelectionOptions) -> Sequence[Cell]:
    """Select cells by `-k`, and then by `--shard`."""
    cells = select(suite.cells, selection.expression) if selection.expression else suite.cells
    return parse_shard(cells, selection.shard) if selection.shard else cells


def _is_to_run(cell_status: CellStatus, selection: SelectionOptions) -> bool:
    if cell_status.status == "failed":
        return selection.fresh or selection.retry_failed
    return selection.fresh or cell_status.status != "done"


def _handle_events(
    events: Iterable[Event],
    reporter: ProgressReporter,
    listeners: Sequence[ProgressNotes | EvaluationLog],
    stop: StopRequest,
    fail_fast: bool,
    log: LogFollower | None,
) -> list[str]:
    """Pass the events of a run to the log, the reporter and the listeners, and request a stop for `--fail-fast`.

    The lines of `log`, which all processes of the run write, are printed.

    Returns:
        The states of the cells that ended, without interrupted ones.
    """
    ended: list[str] = []
    stopping = False
    for event in events:
        log_event(event)
        reporter.on_event(event)
        for listener in listeners:
            listener.on_event(event)
        if isinstance(event, CellFinished) and event.record.state != "interrupted":
            ended.append(event.record.state)
            stop.failed |= fail_fast and ended[-1] in FAILURE_STATES
        if stop.is_requested() and not stopping:
            reporter.print_line("stopping: running cells stop at their next step; a second Ctrl-C stops at once")
            stopping = True
        for line in log.new_lines() if log is not None else ():
            reporter.print_line(line)
    return ended


def _results_folder(suite: LoadedSuite, request: RunOptions) -> Path:
    several = len(request.suites) > 1
    return request.out / suite.suite.name if request.out and several else results_dir(suite, request.out)


def select_backend(
    name: str, ray_address: str | None, jobs: int | None, processes: int
) -> AbstractContextManager[Backend]:
    """Return a context manager that opens and closes the backend for `--executor`.

    Ray is imported only when it is chosen.

    Args:
        name: the value of `--executor`, one of `EXECUTORS`.
        ray_address: the value of `--ray-address`, or None.
        jobs: cells to run at the same time; None lets the backend choose.
        processes: processes that share the workers of one cell.

    Raises:
        UsageError: the name is unknown, an address is given without Ray, or Ray is chosen for a cell that needs several
            processes.
    """
    if name not in EXECUTORS:
        raise UsageError(f"--executor {name}: expected {' or '.join(EXECUTORS)}{did_you_mean(name, EXECUTORS)}")
    if name == PROCESSES:
        if ray_address is not None:
            raise UsageError(f"--ray-address {ray_address}: this option requires --executor {RAY}")
        return nullcontext(LocalBackend())
    if processes > 1:
        raise UsageError(
            f"--executor {RAY}: Ray runs each cell in one process, so --engine distributed is not allowed; remove it, "
            f"or use --executor {PROCESSES}"
        )
    from fdabench.execution.ray_backend import ray_backend

    return ray_backend(ray_address, jobs)
