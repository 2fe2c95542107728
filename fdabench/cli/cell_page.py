"""The text page of one cell, which `fdabench show` prints.

It has the configuration, the outcome, the evaluations, the ledger with its cost under each convention, and the syncs.
"""

from collections.abc import Sequence

import pandas as pd
import tomli_w

from fdabench.accounting.costs import CONVENTIONS, total_bytes
from fdabench.cli.cell_results import CellResults
from fdabench.cli.console import print_result, print_table
from fdabench.cli.evaluations import COLUMNS, evaluation_records, thinned
from fdabench.cli.states import live_state
from fdabench.formatting import format_bytes, format_count, format_duration
from fdabench.metrics import Metric
from fdabench.report.tables.build import records_of
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder
from fdabench.tables import Column, Table, column

MOST_EVALUATIONS = 20
MOST_SYNCS = 12
"""Syncs whose steps are listed above the timeline. If there are more, only their number is printed."""
TIMELINE_WIDTH = 60
TICKS = 4
SHADES = " .:-=+*#"
"""From no sync to a sync in every step."""


def print_page(results: CellResults) -> None:
    """Print the page of a cell, the configuration first and the outcome last, so that a terminal shows the outcome.

    A cell without a record has only its configuration. A failed cell ends with its traceback.
    """
    cell, record = results.cell, results.record
    state = live_state(ResultsFolder(results.folder), cell.id, record)
    print_result(f"{cell.title}\n{cell.id}  {cell.label}  seed {cell.config.seed}  {state}\n")
    print_result(tomli_w.dumps(cell.config.to_dict()))
    if record is None:
        return
    _print_run(record)
    if results.has_result:
        _print_outcome(results, record)
        _print_evaluations(results)
        _print_ledger(results)
        _print_timeline(results.rounds, record.steps)
    if record.error:
        print_result(f"\n{record.error.rstrip()}")


def _print_run(record: CellRecord) -> None:
    metadata: dict[str, object] = {**record.resolved, **record.environment}
    table = record.to_dict()
    metadata |= {key: table[key] for key in ("attempts", "started", "ended", "steps", "wall_s") if key in table}
    records = [{"key": key, "value": value} for key, value in metadata.items()]
    print_table(Table(records, (column("key", ""), column("value", ""))), "plain")


def _print_outcome(results: CellResults, record: CellRecord) -> None:
    run = results.run
    metric = results.metric
    column_name, key = f"test_{metric.source}", f"best_{metric.source}"
    final, best_value = (metric.convert(float(run[f"{when}_{metric.source}"])) for when in ("final", "best"))
    best_rows = results.evals[results.evals[column_name] == run[key]]
    best = f" at step {format_count(int(best_rows['step'].iloc[0]))}" if len(best_rows) else ""
    print_result(
        f"\n{metric.title}: {metric.format(final, 2)} at the end, {metric.format(best_value, 2)} at best{best}"
    )
    elapsed = format_duration(record.wall_s)
    total = f"{format_bytes(run['bytes_total'])} ({results.convention}), {format_count(run['syncs'])} syncs"
    print_result(f"total: {format_count(run['steps'])} steps, {total}, {elapsed}")
    if len(results.hits):
        print_result("")
        print_table(Table(records_of(results.hits), _hits_columns(metric)), "plain")


def _hits_columns(metric: Metric) -> tuple[Column, ...]:
    return (
        column("target", write=metric.format_target),
        Column("step", "reached at step", lambda hit: format_count(hit["step"]) if hit["reached"] else "missed"),
        # a missed target has no numbers; a dash is printed
        column("step_before", "after step", format_count),
        column("bytes_total", "bytes", format_bytes),
        column("syncs", "syncs", format_count),
    )


def _print_evaluations(results: CellResults) -> None:
    records = evaluation_records(results)
    shown = thinned(records, MOST_EVALUATIONS)
    extent = (
        f"{len(shown)} of {len(records)}; --output-format json or csv prints all"
        if len(shown) < len(records)
        else "all"
    )
    print_result(f"\nevaluations ({extent}):")
    print_table(Table(shown, COLUMNS), "plain")


def _print_ledger(results: CellResults) -> None:
    rows = [
        {"kind": kind, "collectives": group["count"].sum(), "payloads": sorted(set(group["payload_bytes"]))}
        for kind, group in results.ledger.groupby("kind", sort=False)
    ]
    columns = (
        column("kind", "ledger"),
        column("collectives", write=format_count),
        column("payloads", "payload of one worker", lambda sizes: ", ".join(f"{format_count(n)} B" for n in sizes)),
    )
    print_result("")
    print_table(Table(rows, columns), "plain")
    print_result("")
    workers = results.cell.config.workers
    costs = [{"convention": name, "bytes": total_bytes(results.ledger, workers, name).total} for name in CONVENTIONS]
    print_table(Table(costs, (column("convention"), column("bytes", "bytes, all workers", format_bytes))), "plain")


def _print_timeline(rounds: pd.DataFrame, steps: int) -> None:
    """Print the density of syncs along the run. The darkest character stands for a sync in every step."""
    edges = [steps * i / TIMELINE_WIDTH for i in range(TIMELINE_WIDTH + 1)]
    counts = pd.cut(rounds["step"], edges).value_counts(sort=False)
    full = max(1.0, steps / TIMELINE_WIDTH)
    shades = "".join(SHADES[min(len(SHADES) - 1, round((n / full) ** 0.5 * (len(SHADES) - 1)))] for n in counts)
    print_result(
        f"\n{format_count(len(rounds))} syncs in {format_count(steps)} "
        f"steps{_format_steps([int(step) for step in rounds['step']])}"
    )
    print_result(f"|{shades}|\n{axis(steps)}")


def _format_steps(steps: Sequence[int]) -> str:
    if not steps or len(steps) > MOST_SYNCS:
        return ""
    return f": at step{'s' * (len(steps) > 1)} {', '.join(format_count(step) for step in steps)}"


def axis(steps: int) -> str:
    """Format step numbers for the line under the timeline.

    Each number ends below its position. Numbers that would touch are left out.

    Args:
        steps: local steps of the whole run.

    >>> axis(4000)
    '0          1,000          2,000          3,000          4,000'
    """
    line = "0"
    for tick in range(1, TICKS + 1):
        text, end = format_count(steps * tick / TICKS), 1 + TIMELINE_WIDTH * tick // TICKS
        room = end - len(line)
        if len(text) < room:
            line += text.rjust(room)
    return line
