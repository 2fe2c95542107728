"""One cell for people: configuration, outcome, evaluations, ledger under every convention, when it synchronized."""

from collections.abc import Sequence

import pandas as pd
import tomli_w

from fdabench.cli.console import print_table, say
from fdabench.cli.evaluations import COLUMNS, evaluation_records, thinned
from fdabench.cli.inspected import Inspected
from fdabench.cli.states import state_of
from fdabench.formatting import byte_size, count, format_duration, percent, target_name
from fdabench.report.tables import records_of
from fdabench.results.costs import CONVENTIONS, total_bytes
from fdabench.results.store import Store
from fdabench.tables import Column, Table, column

MOST_EVALUATIONS = 20
MOST_SYNCS = 12
"""That are named by their step below the timeline."""
TIMELINE_WIDTH = 60
TICKS = 4
SHADES = " .:-=+*#"


def print_page(found: Inspected) -> None:
    """Beginning with what was asked for, ending with what came of it, which is what a terminal shows."""
    cell, record = found.cell, found.record
    state = state_of(Store(found.folder), cell.id, record or None)
    say(f"{cell.title}\n{cell.id}  {cell.label}  seed {cell.config['seed']}  {state}\n")
    say(tomli_w.dumps(cell.config))
    if not record:
        return
    _say_run(found)
    if found.has_result:
        _say_outcome(found)
        _say_evaluations(found)
        _say_ledger(found)
        _say_timeline(found.rounds, record["steps"])
    if "error" in record:
        say(f"\n{record['error'].rstrip()}")


def _say_run(found: Inspected) -> None:
    record = found.record
    about = {**record.get("resolved", {}), **record.get("environment", {})}
    about |= {key: record[key] for key in ("attempts", "started", "ended", "steps", "wall_s") if key in record}
    records = [{"key": key, "value": value} for key, value in about.items()]
    print_table(Table(records, (column("key", ""), column("value", ""))), "plain")


def _say_outcome(found: Inspected) -> None:
    run = found.run
    reached = found.evals[found.evals["test_accuracy"] == run["best_accuracy"]]
    best = f" at step {count(int(reached['step'].iloc[0]))}" if len(reached) else ""
    say(f"\naccuracy: {percent(run['final_accuracy'], 2)} at the end, {percent(run['best_accuracy'], 2)} at best{best}")
    took = format_duration(found.record["wall_s"])
    total = f"{byte_size(run['bytes_total'])} ({found.convention}), {count(run['syncs'])} syncs"
    say(f"in all: {count(run['steps'])} steps, {total}, {took}")
    if len(found.hits):
        say("")
        print_table(Table(records_of(found.hits), _HITS), "plain")


_HITS = (
    column("target", write=target_name),
    Column("step", "reached at step", lambda hit: count(hit["step"]) if hit["reached"] else "missed"),
    # a missed target has no numbers, which are written as a dash
    column("step_before", "after step", count),
    column("bytes_total", "bytes", byte_size),
    column("syncs", "syncs", count),
)


def _say_evaluations(found: Inspected) -> None:
    records = evaluation_records(found)
    shown = thinned(records, MOST_EVALUATIONS)
    of = f"{len(shown)} of {len(records)}; --output-format json or csv has all" if len(shown) < len(records) else "all"
    say(f"\nevaluations ({of}):")
    print_table(Table(shown, COLUMNS), "plain")


def _say_ledger(found: Inspected) -> None:
    rows = [
        {"kind": kind, "collectives": mine["count"].sum(), "payloads": sorted(set(mine["payload_bytes"]))}
        for kind, mine in found.ledger.groupby("kind", sort=False)
    ]
    columns = (
        column("kind", "ledger"),
        column("collectives", write=count),
        column("payloads", "payload of one worker", lambda sizes: ", ".join(f"{count(n)} B" for n in sizes)),
    )
    say("")
    print_table(Table(rows, columns), "plain")
    say("")
    workers = found.cell.config["workers"]
    costs = [{"convention": name, "bytes": total_bytes(found.ledger, workers, name).total} for name in CONVENTIONS]
    print_table(Table(costs, (column("convention"), column("bytes", "bytes, all workers", byte_size))), "plain")


def _say_timeline(rounds: pd.DataFrame, steps: int) -> None:
    """How dense the syncs are along the run, darkest where every step synchronizes; step numbers below."""
    edges = [steps * i / TIMELINE_WIDTH for i in range(TIMELINE_WIDTH + 1)]
    counts = pd.cut(rounds["step"], edges).value_counts(sort=False)
    full = max(1.0, steps / TIMELINE_WIDTH)
    shades = "".join(SHADES[min(len(SHADES) - 1, round((n / full) ** 0.5 * (len(SHADES) - 1)))] for n in counts)
    say(f"\n{count(len(rounds))} syncs in {count(steps)} steps{_where([int(step) for step in rounds['step']])}")
    say(f"|{shades}|\n{axis(steps)}")


def _where(steps: Sequence[int]) -> str:
    if not steps or len(steps) > MOST_SYNCS:
        return ""
    return f": at step{'s' * (len(steps) > 1)} {', '.join(count(step) for step in steps)}"


def axis(steps: int) -> str:
    """Step numbers under the timeline, each ending below its place; numbers that would touch are left out.

    Args:
        steps: local steps of the whole run.
    """
    line = "0"
    for tick in range(1, TICKS + 1):
        text, end = count(steps * tick / TICKS), 1 + TIMELINE_WIDTH * tick // TICKS
        room = end - len(line)
        if len(text) < room:
            line += text.rjust(room)
    return line
