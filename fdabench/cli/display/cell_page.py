"""One cell, which `fdabench show` prints: as a page of text, as a JSON object, and its evaluations as a table.

The page has the configuration, the outcome, the evaluations, the ledger with its cost under each convention, and the
syncs.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import tomli_w

from fdabench.accounting.costs import CONVENTIONS, total_bytes
from fdabench.cli.console import print_result, print_table
from fdabench.cli.display.cell_results import CellResults
from fdabench.cli.display.states import live_state
from fdabench.formatting import (
    DASH,
    format_bytes,
    format_count,
    format_duration,
    format_percent,
    format_significant,
)
from fdabench.metrics import Metric
from fdabench.report.tables.build import records_of
from fdabench.results.cell_record import CellRecord
from fdabench.results.folder import ResultsFolder
from fdabench.tables import Column, Record, Table, column


def _diagnostic(value: Any) -> str:
    return DASH if value is None else format_significant(float(value))


COLUMNS = (
    column("step", write=format_count),
    column("epoch", write=lambda epoch: f"{epoch:.2f}"),
    column("test_accuracy", "accuracy", lambda accuracy: format_percent(accuracy, 2)),
    column("test_loss", "test loss", format_significant),
    column("train_loss", "train loss", format_significant),
    column("bytes_total", "bytes", format_bytes),
    column("syncs", write=format_count),
    column("estimate", write=_diagnostic),
    column("variance", write=_diagnostic),
)
WORST_DECILE = column("test_worst_decile", "worst tenth of owners", format_significant)


def evaluations_table(cell: CellResults) -> Table:
    """Return all evaluations. Programs get the columns of the table `evals`, with bytes by the suite's convention."""
    by_owner = [WORST_DECILE] if WORST_DECILE.key in cell.evals else []
    return Table(evaluation_records(cell), [*COLUMNS, *by_owner])


def evaluation_records(cell: CellResults) -> list[dict[str, object]]:
    """Return one record for each evaluation, without the id of the cell."""
    return records_of(cell.evals.drop(columns="cell_id"))


def evenly_spaced(rows: Sequence[Record], most: int) -> list[Record]:
    """Return at most `most` rows, evenly spaced, with the first and the last among them.

    Args:
        rows: the rows.
        most: at least 2.

    >>> evenly_spaced([{"step": step} for step in range(10)], 3)
    [{'step': 0}, {'step': 4}, {'step': 9}]
    """
    if len(rows) <= most:
        return list(rows)
    return [rows[i * (len(rows) - 1) // (most - 1)] for i in range(most)]


MOST_EVALUATIONS = 20
"""Evaluations that the page shows at most."""
MOST_SYNCS = 12
"""Syncs whose steps are listed above the timeline. If there are more, only their number is printed."""
TIMELINE_WIDTH = 60
"""The number of characters of the timeline."""
TICKS = 4
"""The number of step numbers under the timeline, without the 0."""
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
    selected = evenly_spaced(records, MOST_EVALUATIONS)
    extent = (
        f"{len(selected)} of {len(records)}; --output-format json or csv prints all"
        if len(selected) < len(records)
        else "all"
    )
    print_result(f"\nevaluations ({extent}):")
    print_table(Table(selected, COLUMNS), "plain")


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


_COUNTS = ("step", "step_before", "syncs", "bytes_model", "bytes_state", "bytes_total")
_RECORD_KEYS = ("attempts", "started", "ended", "steps", "wall_s", "remarks", "error", "plugin")


def cell_record(results: CellResults) -> dict[str, object]:
    """Return everything that the page of the cell shows, and its tables without truncation.

    Accuracies are fractions, bytes are integers over all workers, and times are in seconds.
    """
    cell, run = results.cell, results.run
    record = results.record.to_dict() if results.record else {}
    return {
        "folder": results.folder.as_posix(),
        "id": cell.id,
        "what": cell.title,
        "label": cell.label,
        "reference": cell.is_reference,
        "seed": cell.config.seed,
        "state": live_state(ResultsFolder(results.folder), cell.id, results.record),
        "config": cell.config.to_dict(),
        **{key: record[key] for key in _RECORD_KEYS if key in record},
        **{key: record.get(key, {}) for key in ("resolved", "environment")},
        "convention": results.convention,
        "metric": results.metric.name,
        **{key: run[key] for key in ("final_accuracy", "best_accuracy", "final_loss", "best_loss")},
        **{key: run[key] for key in ("syncs", "bytes_total")},
        "targets": [_restore_integers(row) for row in records_of(results.hits.drop(columns="cell_id"))],
        "evaluations": evaluation_records(results),
        "ledger": records_of(results.ledger.drop(columns="cell_id")),
        "bytes_by_convention": _costs(results) if results.has_result else {},
        "syncs_at": [int(step) for step in results.rounds["step"]],
        "rounds": records_of(results.rounds.drop(columns="cell_id")),
    }


def _costs(results: CellResults) -> dict[str, int]:
    workers = results.cell.config.workers
    return {name: total_bytes(results.ledger, workers, name).total for name in CONVENTIONS}


def _restore_integers(hit: dict[str, Any]) -> dict[str, Any]:
    """Convert counts to integers. pandas makes a column of integers float if a row misses its target."""
    return {key: int(value) if key in _COUNTS and value == value else value for key, value in hit.items()}
