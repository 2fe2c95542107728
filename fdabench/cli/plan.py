"""`fdabench plan`: what `run` would do."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fdabench.catalogue.kinds import Catalogue
from fdabench.cli.console import Table, in_bytes, in_time, print_table, remark, say
from fdabench.cli.extrapolate import parse_wish, print_extrapolation
from fdabench.cli.request import expand, grid_line, results_dir
from fdabench.datasets.base import data_dir
from fdabench.results.store import Store
from fdabench.run.estimate import estimated_seconds
from fdabench.run.plan import SETTLED, Standing, afresh, bytes_bound, standings, tally
from fdabench.run.ready import default_jobs, parse_device
from fdabench.run.watched import watched
from fdabench.suite.cell import Cell
from fdabench.suite.select import select


class Wanted(NamedTuple):
    """The command line of `plan`: the suite, and which of its cells `run` would be asked for."""

    suite: Path
    out: Path | None
    data_dir: Path | None
    sets: tuple[str, ...]
    seeds: str | None
    chosen: str | None
    fresh: bool


def print_plan(wanted: Wanted, form: str) -> None:
    """One row for each cell: status, why it is stale, bytes; below, how long the cells to run will take."""
    suite = expand(wanted.suite, wanted.sets, wanted.seeds)
    store = Store(results_dir(suite, wanted.out))
    cells = select(suite.cells, wanted.chosen) if wanted.chosen else suite.cells
    found = standings(cells, store, _watched(cells, store, wanted.data_dir, suite.catalogue))
    if wanted.fresh:
        found = afresh(found)
    remark(f"{suite.suite.name}: {grid_line(suite)}  ->  {store.root.as_posix()}")
    convention = suite.suite.accounting.convention
    rows = [
        (each.cell.id, each.cell.title, each.status, _bytes(each, convention, suite.catalogue), each.why)
        for each in found
    ]
    table = Table(("cell", "what", "status", f"bytes ({convention})", "why"), rows)
    print_table(replace(table, records=_records(table, found)) if form == "json" else table, form)
    to_run = [each.cell for each in found if wanted.fresh or each.status not in SETTLED]
    jobs = default_jobs(parse_device("auto"))
    seconds = estimated_seconds(to_run, store, jobs, suite.catalogue)
    time = f", about {in_time(seconds)} with --jobs {jobs}" if to_run else ""
    if form not in ("json", "csv", "markdown"):
        say(f"{tally(found)}{time}")


def _watched(cells: Sequence[Cell], store: Store, data: Path | None, catalogue: Catalogue) -> Catalogue:
    """Data that plug-ins load decide whether a result is stale; where there is no result they are left alone.

    Raises:
        TaskError: such data cannot be loaded.
    """
    begun = [cell.config["dataset"] for cell in cells if store.read_record(cell.id) is not None]
    return watched(begun, data_dir(data), catalogue).catalogue


def print_larger(
    path: Path,
    out: Path | None,
    sets: Sequence[str],
    seeds: str | None,
    chosen: str | None,
    wish: str,
    results: Path | None,
    form: str,
) -> None:
    """What the suite's strategies would cost with other numbers of workers, parameters and steps.

    Raises:
        UsageError: `wish` is not such a list of numbers.
    """
    parsed = parse_wish(wish)
    suite = expand(path, sets, seeds)
    print_extrapolation(suite, parsed, results or results_dir(suite, out), chosen, results is not None, form)


def _records(table: Table, found: Sequence[Standing]) -> list[dict[str, Any]]:
    """The rows, and all that has changed since each cell was run."""
    changed = [[change._asdict() for change in each.changed] for each in found]
    return [{**row, "changed": each} for row, each in zip(table.machine, changed, strict=True)]


def _bytes(standing: Standing, convention: str, catalogue: Catalogue) -> str:
    bound = bytes_bound(standing.cell, convention, catalogue)
    if bound is None:
        return "unknown"
    if bound.least == bound.most:
        return in_bytes(bound.least)
    return f"{in_bytes(bound.least)} to {in_bytes(bound.most)}"
