"""`fdabench plan`: what `run` would do."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fdabench.catalogue.kinds import Catalogue
from fdabench.cli.console import Table, in_bytes, in_time, print_table, remark, say
from fdabench.cli.extrapolate import parse_wish, print_extrapolation
from fdabench.cli.request import expand, grid_line, results_dir
from fdabench.results.store import Store
from fdabench.run.estimate import estimated_seconds
from fdabench.run.plan import SETTLED, Standing, bytes_bound, standings, tally
from fdabench.run.ready import default_jobs, parse_device
from fdabench.suite.select import select


def print_plan(
    path: Path, out: Path | None, sets: Sequence[str], seeds: str | None, chosen: str | None, form: str
) -> None:
    """One row for each cell: status, why it is stale, bytes; below, how long the cells to run will take."""
    suite = expand(path, sets, seeds)
    store = Store(results_dir(suite, out))
    found = standings(select(suite.cells, chosen) if chosen else suite.cells, store, suite.catalogue)
    remark(f"{suite.suite.name}: {grid_line(suite)}  ->  {store.root.as_posix()}")
    convention = suite.suite.accounting.convention
    rows = [
        (each.cell.id, each.cell.title, each.status, _bytes(each, convention, suite.catalogue), each.why)
        for each in found
    ]
    table = Table(("cell", "what", "status", f"bytes ({convention})", "why"), rows)
    print_table(replace(table, records=_records(table, found)) if form == "json" else table, form)
    to_run = [each.cell for each in found if each.status not in SETTLED]
    jobs = default_jobs(parse_device("auto"))
    seconds = estimated_seconds(to_run, store, jobs, suite.catalogue)
    time = f", about {in_time(seconds)} with --jobs {jobs}" if to_run else ""
    if form not in ("json", "csv", "markdown"):
        say(f"{tally(found)}{time}")


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
