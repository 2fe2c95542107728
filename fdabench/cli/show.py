"""`fdabench show`: one cell, from its folder."""

from pathlib import Path
from typing import Any

import pandas as pd
import tomli_w

from fdabench.cli.console import Table, in_bytes, print_table, say
from fdabench.errors import ResultError, nearest
from fdabench.results.costs import CONVENTIONS, total_bytes
from fdabench.results.store import RESULTS, Record, Store, taken_apart

TIMELINE_WIDTH = 60
SHADES = " .:-=+*#"


def print_cell(root: Path, beginning: str) -> None:
    """Configuration, state, ledger under every convention, and when it synchronised.

    Raises:
        ResultError: no cell, or several, begin so.
    """
    with taken_apart(root):
        _print(Store(root), beginning)


def _print(store: Store, beginning: str) -> None:
    entry = _find(store.read_lock()["cell"], beginning)
    record = store.read_record(entry["id"])
    say(f"{entry['id']}  {entry['label']}  {record['state'] if record else 'pending'}\n")
    say(tomli_w.dumps(entry["config"]))
    if record is None:
        return
    _say_run(record)
    if record["state"] in RESULTS:
        _say_ledger(store.read_cell_table(entry["id"], "ledger").to_pandas(), entry["config"]["workers"])
        _say_timeline(store.read_cell_table(entry["id"], "rounds").to_pandas(), record["steps"])
    if "error" in record:
        say(f"\n{record['error'].rstrip()}")


def _find(cells: list[dict[str, Any]], beginning: str) -> dict[str, Any]:
    found = [cell for cell in cells if cell["id"].startswith(beginning)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ResultError(f"{len(found)} cells begin with {beginning!r}: {', '.join(cell['id'] for cell in found[:5])}")
    raise ResultError(f"no cell begins with {beginning!r}{nearest(beginning, [cell['id'] for cell in cells])}")


def _say_run(record: Record) -> None:
    about = {**record.get("resolved", {}), **record.get("environment", {})}
    about |= {key: record[key] for key in ("attempts", "started", "ended", "steps", "wall_s") if key in record}
    print_table(Table(("", ""), [(key, f"{value}") for key, value in about.items()]), "plain")


def _say_ledger(ledger: pd.DataFrame, workers: int) -> None:
    rows = [
        (str(kind), f"{rows['count'].sum():,}", ", ".join(f"{n:,} B" for n in sorted(set(rows["payload_bytes"]))))
        for kind, rows in ledger.groupby("kind", sort=False)
    ]
    say("")
    print_table(Table(("ledger", "collectives", "payload of one worker"), rows), "plain")
    say("")
    costs = [(name, in_bytes(total_bytes(ledger, workers, name).total)) for name in CONVENTIONS]
    print_table(Table(("convention", "bytes, all workers"), costs), "plain")


def _say_timeline(rounds: pd.DataFrame, steps: int) -> None:
    """How dense the syncs are along the run, darkest where every step synchronises."""
    edges = [steps * i / TIMELINE_WIDTH for i in range(TIMELINE_WIDTH + 1)]
    counts = pd.cut(rounds["step"], edges).value_counts(sort=False)
    full = max(1.0, steps / TIMELINE_WIDTH)
    shades = "".join(SHADES[min(len(SHADES) - 1, round((count / full) ** 0.5 * (len(SHADES) - 1)))] for count in counts)
    say(f"\n{len(rounds):,} syncs in {steps:,} steps\n|{shades}|")
