"""One cell for people: configuration, outcome, evaluations, ledger under every convention, when it synchronized."""

from collections.abc import Sequence

import pandas as pd
import tomli_w

from fdabench.accounting.costs import CONVENTIONS, total_bytes
from fdabench.cli.cell_results import CellResults
from fdabench.cli.console import print_result, print_table
from fdabench.cli.evaluations import COLUMNS, evaluation_records, thinned
from fdabench.cli.states import live_state
from fdabench.formatting import format_bytes, format_count, format_duration, format_percent, format_target
from fdabench.report.tables.build import records_of
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder
from fdabench.tables import Column, Table, column

MOST_EVALUATIONS = 20
MOST_SYNCS = 12
"""That are named by their step below the timeline."""
TIMELINE_WIDTH = 60
TICKS = 4
SHADES = " .:-=+*#"


def print_page(found: CellResults) -> None:
    """Beginning with what was asked for, ending with what came of it, which is what a terminal shows."""
    cell, record = found.cell, found.record
    state = live_state(ResultsFolder(found.folder), cell.id, record)
    print_result(f"{cell.title}\n{cell.id}  {cell.label}  seed {cell.config.seed}  {state}\n")
    print_result(tomli_w.dumps(cell.config.to_dict()))
    if record is None:
        return
    _say_run(record)
    if found.has_result:
        _say_outcome(found, record)
        _say_evaluations(found)
        _say_ledger(found)
        _say_timeline(found.rounds, record.steps)
    if record.error:
        print_result(f"\n{record.error.rstrip()}")


def _say_run(record: CellRecord) -> None:
    about: dict[str, object] = {**record.resolved, **record.environment}
    table = record.to_dict()
    about |= {key: table[key] for key in ("attempts", "started", "ended", "steps", "wall_s") if key in table}
    records = [{"key": key, "value": value} for key, value in about.items()]
    print_table(Table(records, (column("key", ""), column("value", ""))), "plain")


def _say_outcome(found: CellResults, record: CellRecord) -> None:
    run = found.run
    reached = found.evals[found.evals["test_accuracy"] == run["best_accuracy"]]
    best = f" at step {format_count(int(reached['step'].iloc[0]))}" if len(reached) else ""
    print_result(
        f"\naccuracy: {format_percent(run['final_accuracy'], 2)} at the end, "
        f"{format_percent(run['best_accuracy'], 2)} at best{best}"
    )
    took = format_duration(record.wall_s)
    total = f"{format_bytes(run['bytes_total'])} ({found.convention}), {format_count(run['syncs'])} syncs"
    print_result(f"in all: {format_count(run['steps'])} steps, {total}, {took}")
    if len(found.hits):
        print_result("")
        print_table(Table(records_of(found.hits), _HITS), "plain")


_HITS = (
    column("target", write=format_target),
    Column("step", "reached at step", lambda hit: format_count(hit["step"]) if hit["reached"] else "missed"),
    # a missed target has no numbers, which are written as a dash
    column("step_before", "after step", format_count),
    column("bytes_total", "bytes", format_bytes),
    column("syncs", "syncs", format_count),
)


def _say_evaluations(found: CellResults) -> None:
    records = evaluation_records(found)
    shown = thinned(records, MOST_EVALUATIONS)
    of = f"{len(shown)} of {len(records)}; --output-format json or csv has all" if len(shown) < len(records) else "all"
    print_result(f"\nevaluations ({of}):")
    print_table(Table(shown, COLUMNS), "plain")


def _say_ledger(found: CellResults) -> None:
    rows = [
        {"kind": kind, "collectives": mine["count"].sum(), "payloads": sorted(set(mine["payload_bytes"]))}
        for kind, mine in found.ledger.groupby("kind", sort=False)
    ]
    columns = (
        column("kind", "ledger"),
        column("collectives", write=format_count),
        column("payloads", "payload of one worker", lambda sizes: ", ".join(f"{format_count(n)} B" for n in sizes)),
    )
    print_result("")
    print_table(Table(rows, columns), "plain")
    print_result("")
    workers = found.cell.config.workers
    costs = [{"convention": name, "bytes": total_bytes(found.ledger, workers, name).total} for name in CONVENTIONS]
    print_table(Table(costs, (column("convention"), column("bytes", "bytes, all workers", format_bytes))), "plain")


def _say_timeline(rounds: pd.DataFrame, steps: int) -> None:
    """How dense the syncs are along the run, darkest where every step synchronizes; step numbers below."""
    edges = [steps * i / TIMELINE_WIDTH for i in range(TIMELINE_WIDTH + 1)]
    counts = pd.cut(rounds["step"], edges).value_counts(sort=False)
    full = max(1.0, steps / TIMELINE_WIDTH)
    shades = "".join(SHADES[min(len(SHADES) - 1, round((n / full) ** 0.5 * (len(SHADES) - 1)))] for n in counts)
    print_result(
        f"\n{format_count(len(rounds))} syncs in {format_count(steps)} "
        f"steps{_where([int(step) for step in rounds['step']])}"
    )
    print_result(f"|{shades}|\n{axis(steps)}")


def _where(steps: Sequence[int]) -> str:
    if not steps or len(steps) > MOST_SYNCS:
        return ""
    return f": at step{'s' * (len(steps) > 1)} {', '.join(format_count(step) for step in steps)}"


def axis(steps: int) -> str:
    """Step numbers under the timeline, each ending below its place; numbers that would touch are left out.

    Args:
        steps: local steps of the whole run.
    """
    line = "0"
    for tick in range(1, TICKS + 1):
        text, end = format_count(steps * tick / TICKS), 1 + TIMELINE_WIDTH * tick // TICKS
        room = end - len(line)
        if len(text) < room:
            line += text.rjust(room)
    return line
