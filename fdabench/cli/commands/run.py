"""`fdabench run`: run what is missing, show how far it is, print the summary."""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import typer

from fdabench.cli.backend import select_backend
from fdabench.cli.conclusion import concluding
from fdabench.cli.distributed import DistributedOptions, parse_distributed, run_follower_ranks
from fdabench.cli.event_lines import ResultLines
from fdabench.cli.option_values import parse_duration, parse_shard
from fdabench.cli.progress import ProgressReporter, Verbosity, progress_reporter
from fdabench.cli.progress_notes import ProgressNotes
from fdabench.cli.stop import StopRequest, capture_signals
from fdabench.cli.suites import grid_summary, load_suite, results_dir
from fdabench.datasets.base import data_dir
from fdabench.execution.backend import Backend
from fdabench.execution.events import CellFinished, Event, log_event
from fdabench.execution.lease import discard_checkpoints
from fdabench.execution.local_backend import RunContext
from fdabench.execution.plugin_data import HashedData, hash_plugin_data
from fdabench.execution.preflight import (
    check_runnable,
    default_cells_per_batch,
    default_jobs,
    parse_device,
    parse_engine,
)
from fdabench.execution.shared_data import load_datasets
from fdabench.experiment.checkpoint.file import DEFAULT_INTERVAL_S
from fdabench.experiment.distributed_cell import DistributedConfig, check_devices
from fdabench.experiment.environment import usable_cores
from fdabench.experiment.git import revision_at
from fdabench.experiment.status import CellStatus, attempts, cell_statuses, mark_all_to_run, summarize
from fdabench.results.cell_record import FAILURE_STATES
from fdabench.results.folder import ResultsFolder
from fdabench.results.load import Results, load, write_derived
from fdabench.results.suite_lock import SuiteLock
from fdabench.run_log import rotate, run_log
from fdabench.suite.cell import Cell
from fdabench.suite.reader import LoadedSuite
from fdabench.suite.selection import select

SOME_FAILED = 3

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExecutionOptions:
    """What the command line of `run` says of where cells run; None: what fits."""

    jobs: int | None
    threads: int
    device: str
    engine: str
    together: int | None
    checkpoint_every: str | None
    team: DistributedOptions
    executor: str
    ray_address: str | None


@dataclass(frozen=True)
class SelectionOptions:
    """What the command line of `run` says of which cells are run, and for how long."""

    chosen: str | None
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
    hardware: ExecutionOptions
    sets: tuple[str, ...]
    seeds: str | None
    limits: SelectionOptions
    loudness: Verbosity
    form: str
    """How the conclusion is printed: one of `options.Format`."""


def run_suites(request: RunOptions) -> None:
    """Every suite is read before anything of the first is run."""
    limits = request.limits
    team = parse_distributed(request.hardware.engine, request.hardware.team)
    stop = StopRequest(
        monotonic() + (parse_duration("--max-time", limits.max_time) if limits.max_time else float("inf"))
    )
    suites = [load_suite(path, request.sets, request.seeds) for path in request.suites]
    if team is not None and not team.plan.is_rank_zero:
        hardware = request.hardware
        run_follower_ranks(suites, team, hardware.device, hardware.threads, data_dir(request.data_dir))
        return
    failed = False
    asked, processes = request.hardware, team.plan.size if team else 1
    with (
        concluding(request.form) as conclude,
        select_backend(asked.executor, asked.ray_address, asked.jobs, processes) as executor,
    ):
        for index, suite in enumerate(suites):
            failed |= _run_suite(
                suite, request, stop, team.config_for_suite(index) if team else None, executor, conclude
            )
            if failed and limits.fail_fast:
                break
    if failed:
        raise typer.Exit(SOME_FAILED)


def _run_suite(
    suite: LoadedSuite,
    request: RunOptions,
    stop: StopRequest,
    plan: DistributedConfig | None,
    executor: Backend,
    conclude: Callable[[Results], None],
) -> bool:
    """Whether a cell failed, now or before.

    Raises:
        KeyboardInterrupt, Terminated, TimeLimitReached: cells are left; all is saved and the summary is printed.
    """
    store = ResultsFolder(_folder(suite, request))
    chosen = _chosen(suite, request.limits)
    begun = attempts(chosen, store)
    own = hash_plugin_data([cell.config.dataset for cell in chosen], data_dir(request.data_dir), suite.registry)
    standing = cell_statuses(chosen, store, own.registry)
    if request.limits.fresh:
        standing = mark_all_to_run(standing)
    to_run = [each.cell for each in standing if _is_to_run(each, request.limits)]
    place = _place(to_run, store, own, request, plan)
    executor.check(to_run, place)
    lock = _locked(suite)
    store.write_lock(lock)
    discard_checkpoints([each.cell.id for each in standing if request.limits.fresh or each.status == "done"], store)
    with progress_reporter(request.loudness, len(to_run), ResultLines(store, lock)) as watch:
        watch.print_line(f"{suite.suite.name}: {grid_summary(suite)}  ->  {store.root.as_posix()}")
        watch.print_line(f" {summarize(standing)}")
        rotate(store.root)
        with (
            run_log(store.root if to_run else None),
            capture_signals(stop),
            closing(executor.run_cells(to_run, place, stop.is_requested, begun)) as told,
        ):
            logger.info("%s: %d of %d cells to run: %s", suite.suite.name, len(to_run), len(chosen), suite.source)
            ended = _follow(told, watch, ProgressNotes(store), stop, request.limits.fail_fast)
    results = load(store.root)
    write_derived(results)
    conclude(results)
    if len(ended) < len(to_run):
        stop.raise_reason()
    return any(state in FAILURE_STATES for state in ended) or any(
        each.status == "failed" and each.cell not in to_run for each in standing
    )


def _locked(suite: LoadedSuite) -> SuiteLock:
    """With the revision of the repository that holds the suite's file, where there is one."""
    locked, revision = suite.to_lock(), revision_at(Path(suite.source).parent)
    return locked.with_changes({"suite_revision": revision}) if revision else locked


def _chosen(suite: LoadedSuite, limits: SelectionOptions) -> Sequence[Cell]:
    """By the expression, and of these a share."""
    found = select(suite.cells, limits.chosen) if limits.chosen else suite.cells
    return parse_shard(found, limits.shard) if limits.shard else found


def _is_to_run(each: CellStatus, limits: SelectionOptions) -> bool:
    if each.status == "failed":
        return limits.fresh or limits.retry_failed
    return limits.fresh or each.status != "done"


def _follow(
    told: Iterable[Event], watch: ProgressReporter, notes: ProgressNotes, stop: StopRequest, fail_fast: bool
) -> list[str]:
    """The states of the cells that have ended and need no more."""
    ended: list[str] = []
    stopping = False
    for event in told:
        log_event(event)
        watch.on_event(event)
        notes.sees(event)
        if isinstance(event, CellFinished) and event.record.state != "interrupted":
            ended.append(event.record.state)
            stop.failed |= fail_fast and ended[-1] in FAILURE_STATES
        if stop.is_requested() and not stopping:
            watch.print_line("stopping: cells under way end at their next step; a second Ctrl-C stops at once")
            stopping = True
    return ended


def _place(
    cells: Sequence[Cell], store: ResultsFolder, own: HashedData, request: RunOptions, plan: DistributedConfig | None
) -> RunContext:
    """Where these cells run; every fault of the hardware and of the data is told before anything is written."""
    asked = request.hardware
    device = parse_device(asked.device)
    engine = parse_engine("auto" if plan else asked.engine, device)
    processes = plan.size if plan else 1
    if plan:
        check_devices(device, plan)
    registry = own.registry
    data = load_datasets([cell.config.dataset for cell in cells], data_dir(request.data_dir), registry, own.data)
    check_runnable(cells, data, device, registry, processes)
    jobs = (
        1
        if plan and plan.external_rendezvous
        else min(asked.jobs or default_jobs(device, processes), max(1, len(cells)))
    )
    threads = asked.threads or max(1, usable_cores() // (jobs * processes))
    together = 1 if plan else asked.together or default_cells_per_batch(device, cells)
    every_s = (
        parse_duration("--checkpoint-every", asked.checkpoint_every) if asked.checkpoint_every else DEFAULT_INTERVAL_S
    )
    return RunContext(store, data, device, engine, jobs, threads, together, registry, every_s, plan)


def _folder(suite: LoadedSuite, request: RunOptions) -> Path:
    several = len(request.suites) > 1
    return request.out / suite.suite.name if request.out and several else results_dir(suite, request.out)
