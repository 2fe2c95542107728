"""`fdabench run`: run what is missing, show how far it is, print the summary."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import typer

from fdabench.catalogue.kinds import Catalogue
from fdabench.cli.console import say
from fdabench.cli.progress import Watch, watching
from fdabench.cli.request import expand, grid_line, results_dir
from fdabench.datasets.base import data_dir
from fdabench.report.summary import closing_summary
from fdabench.results.load import load, write_derived
from fdabench.results.store import FAILURES, Store
from fdabench.run.environment import usable_cores
from fdabench.run.plan import standings, tally
from fdabench.run.pool import Ended, Place, run_cells
from fdabench.run.ready import check_ready, default_jobs, default_together, parse_device, parse_engine
from fdabench.run.shared import load_all
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


@dataclass(frozen=True)
class Request:
    """The command line of `run`."""

    suites: tuple[Path, ...]
    out: Path | None
    data_dir: Path | None
    hardware: Hardware
    sets: tuple[str, ...]
    seeds: str | None
    chosen: str | None
    fresh: bool
    quiet: bool


def run_suites(request: Request) -> None:
    """Every suite is read before anything of the first is run."""
    suites = [expand(path, request.sets, request.seeds) for path in request.suites]
    failed = [_run_suite(suite, request) for suite in suites]
    if any(failed):
        raise typer.Exit(SOME_FAILED)


def _run_suite(suite: Expanded, request: Request) -> bool:
    """Whether a cell failed."""
    store = Store(_folder(suite, request))
    chosen = select(suite.cells, request.chosen) if request.chosen else suite.cells
    standing = standings(chosen, store, suite.catalogue)
    to_run = [each.cell for each in standing if request.fresh or each.status != "done"]
    place = _place(to_run, store, suite.catalogue, request)
    store.write_lock(suite.locked())
    with watching(request.quiet, len(to_run)) as watch:
        watch.line(f"{suite.suite.name}: {grid_line(suite)}  ->  {store.root.as_posix()}")
        watch.line(f" {tally(standing)}")
        failed = _run_cells(to_run, place, watch)
    results = load(store.root)
    write_derived(results)
    say(closing_summary(results))
    return failed


def _place(cells: Sequence[Cell], store: Store, catalogue: Catalogue, request: Request) -> Place:
    """Where these cells run; every fault of the hardware and of the data is told before anything is written."""
    asked = request.hardware
    device = parse_device(asked.device)
    engine = parse_engine(asked.engine, device)
    data = load_all([cell.config["dataset"] for cell in cells], data_dir(request.data_dir), catalogue)
    check_ready(cells, data, device, catalogue)
    jobs = min(asked.jobs or default_jobs(device), max(1, len(cells)))
    threads = asked.threads or max(1, usable_cores() // jobs)
    together = asked.together or default_together(device, cells)
    return Place(store, data, device, engine, jobs, threads, together, catalogue)


def _folder(suite: Expanded, request: Request) -> Path:
    several = len(request.suites) > 1
    return request.out / suite.suite.name if request.out and several else results_dir(suite, request.out)


def _run_cells(cells: Sequence[Cell], place: Place, watch: Watch) -> bool:
    failed = False
    with closing(run_cells(cells, place)) as events:
        for event in events:
            watch.sees(event)
            failed |= isinstance(event, Ended) and event.record["state"] in FAILURES
    return failed
