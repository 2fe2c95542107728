"""`fdabench run`: run what is missing, show how far it is, print the summary."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import typer

from fdabench.cli.conclusion import concluding
from fdabench.cli.elsewhere import chosen_executor
from fdabench.cli.noted import Notes
from fdabench.cli.parts import parse_duration, shard
from fdabench.cli.progress import Loudness, Watch, watching
from fdabench.cli.request import expand, grid_line, results_dir
from fdabench.cli.stop import Stop, noting_signals
from fdabench.cli.team import Asked, follow_suites, parse_team
from fdabench.cli.telling import Endings
from fdabench.datasets.base import data_dir
from fdabench.results.load import Results, load, write_derived
from fdabench.results.store import FAILURES, Store
from fdabench.run.checkpoint import EVERY_S
from fdabench.run.distributed import Plan, check_devices
from fdabench.run.environment import usable_cores
from fdabench.run.events import Ended, Event
from fdabench.run.executor import Executor
from fdabench.run.lease import discard_checkpoints
from fdabench.run.plan import Standing, afresh, attempts, standings, tally
from fdabench.run.pool import Place
from fdabench.run.ready import check_ready, default_jobs, default_together, parse_device, parse_engine
from fdabench.run.repository import revision_at
from fdabench.run.shared import load_all
from fdabench.run.watched import Watched, watched
from fdabench.suite.cell import Cell
from fdabench.suite.reader import Expanded
from fdabench.suite.select import select

SOME_FAILED = 3


@dataclass(frozen=True)
class Hardware:
    """What the command line of `run` says of where cells run; None: what fits."""

    jobs: int | None
    threads: int
    device: str
    engine: str
    together: int | None
    checkpoint_every: str | None
    team: Asked
    executor: str
    ray_address: str | None


@dataclass(frozen=True)
class Limits:
    """What the command line of `run` says of which cells are run, and for how long."""

    chosen: str | None
    shard: str | None
    fresh: bool
    retry_failed: bool
    fail_fast: bool
    max_time: str | None


@dataclass(frozen=True)
class Request:
    """The command line of `run`."""

    suites: tuple[Path, ...]
    out: Path | None
    data_dir: Path | None
    hardware: Hardware
    sets: tuple[str, ...]
    seeds: str | None
    limits: Limits
    loudness: Loudness
    form: str
    """How the conclusion is printed: one of `options.Format`."""


def run_suites(request: Request) -> None:
    """Every suite is read before anything of the first is run."""
    limits = request.limits
    team = parse_team(request.hardware.engine, request.hardware.team)
    stop = Stop(monotonic() + (parse_duration("--max-time", limits.max_time) if limits.max_time else float("inf")))
    suites = [expand(path, request.sets, request.seeds) for path in request.suites]
    if team is not None and not team.plan.leads:
        hardware = request.hardware
        follow_suites(suites, team, hardware.device, hardware.threads, data_dir(request.data_dir))
        return
    failed = False
    asked, processes = request.hardware, team.plan.size if team else 1
    with (
        concluding(request.form) as conclude,
        chosen_executor(asked.executor, asked.ray_address, asked.jobs, processes) as executor,
    ):
        for index, suite in enumerate(suites):
            failed |= _run_suite(suite, request, stop, team.plan_of(index) if team else None, executor, conclude)
            if failed and limits.fail_fast:
                break
    if failed:
        raise typer.Exit(SOME_FAILED)


def _run_suite(
    suite: Expanded,
    request: Request,
    stop: Stop,
    plan: Plan | None,
    executor: Executor,
    conclude: Callable[[Results], None],
) -> bool:
    """Whether a cell failed, now or before.

    Raises:
        KeyboardInterrupt, Terminated, OutOfTime: cells are left; all is saved and the summary is printed.
    """
    store = Store(_folder(suite, request))
    chosen = _chosen(suite, request.limits)
    begun = attempts(chosen, store)
    own = watched([cell.config["dataset"] for cell in chosen], data_dir(request.data_dir), suite.catalogue)
    standing = standings(chosen, store, own.catalogue)
    if request.limits.fresh:
        standing = afresh(standing)
    to_run = [each.cell for each in standing if _is_to_run(each, request.limits)]
    place = _place(to_run, store, own, request, plan)
    executor.check(to_run, place)
    lock = _locked(suite)
    store.write_lock(lock)
    discard_checkpoints([each.cell.id for each in standing if request.limits.fresh or each.status == "done"], store)
    with watching(request.loudness, len(to_run), Endings(store, lock)) as watch:
        watch.line(f"{suite.suite.name}: {grid_line(suite)}  ->  {store.root.as_posix()}")
        watch.line(f" {tally(standing)}")
        with noting_signals(stop), closing(executor.run_cells(to_run, place, stop.asked, begun)) as told:
            ended = _follow(told, watch, Notes(store), stop, request.limits.fail_fast)
    results = load(store.root)
    write_derived(results)
    conclude(results)
    if len(ended) < len(to_run):
        stop.raise_reason()
    return any(state in FAILURES for state in ended) or any(
        each.status == "failed" and each.cell not in to_run for each in standing
    )


def _locked(suite: Expanded) -> dict[str, Any]:
    """With the revision of the repository that holds the suite's file, where there is one."""
    locked, revision = suite.locked(), revision_at(Path(suite.source).parent)
    # TOML has plain values before tables
    return {"suite_revision": revision, **locked} if revision else locked


def _chosen(suite: Expanded, limits: Limits) -> Sequence[Cell]:
    """By the expression, and of these a share."""
    found = select(suite.cells, limits.chosen) if limits.chosen else suite.cells
    return shard(found, limits.shard) if limits.shard else found


def _is_to_run(each: Standing, limits: Limits) -> bool:
    if each.status == "failed":
        return limits.fresh or limits.retry_failed
    return limits.fresh or each.status != "done"


def _follow(told: Iterable[Event], watch: Watch, notes: Notes, stop: Stop, fail_fast: bool) -> list[str]:
    """The states of the cells that have ended and need no more."""
    ended, stopping = [], False
    for event in told:
        watch.sees(event)
        notes.sees(event)
        if isinstance(event, Ended) and event.record["state"] != "interrupted":
            ended.append(event.record["state"])
            stop.failed |= fail_fast and ended[-1] in FAILURES
        if stop.asked() and not stopping:
            watch.line("stopping: cells under way end at their next step; a second Ctrl-C stops at once")
            stopping = True
    return ended


def _place(cells: Sequence[Cell], store: Store, own: Watched, request: Request, plan: Plan | None) -> Place:
    """Where these cells run; every fault of the hardware and of the data is told before anything is written."""
    asked = request.hardware
    device = parse_device(asked.device)
    engine = parse_engine("auto" if plan else asked.engine, device)
    processes = plan.size if plan else 1
    if plan:
        check_devices(device, plan)
    catalogue = own.catalogue
    data = load_all([cell.config["dataset"] for cell in cells], data_dir(request.data_dir), catalogue, own.data)
    check_ready(cells, data, device, catalogue, processes)
    jobs = 1 if plan and plan.outside else min(asked.jobs or default_jobs(device, processes), max(1, len(cells)))
    threads = asked.threads or max(1, usable_cores() // (jobs * processes))
    together = 1 if plan else asked.together or default_together(device, cells)
    every_s = parse_duration("--checkpoint-every", asked.checkpoint_every) if asked.checkpoint_every else EVERY_S
    return Place(store, data, device, engine, jobs, threads, together, catalogue, every_s, plan)


def _folder(suite: Expanded, request: Request) -> Path:
    several = len(request.suites) > 1
    return request.out / suite.suite.name if request.out and several else results_dir(suite, request.out)
