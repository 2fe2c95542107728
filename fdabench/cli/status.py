"""`fdabench status`: how far a run is, read from its folder."""

from collections import Counter
from pathlib import Path

from fdabench.cli.console import Table, print_table
from fdabench.results.store import FAILURES, RESULTS, TO_DO, Store


def print_status(root: Path, form: str) -> None:
    """One row for each state that occurs, and one for all."""
    store = Store(root)
    lock = store.read_lock()
    records = {cell["id"]: store.read_record(cell["id"]) for cell in lock["cell"]}
    states = Counter("pending" if record is None else record["state"] for record in records.values())
    labels = {cell["id"]: cell["label"] for cell in lock["cell"]}
    rows = []
    for state in (*RESULTS, *FAILURES, *TO_DO):
        if states[state]:
            mine = [key for key, record in records.items() if (record or {"state": "pending"})["state"] == state]
            rows.append((state, str(states[state]), ", ".join(dict.fromkeys(labels[key] for key in mine))))
    rows.append(("all", str(len(records)), lock["suite"]))
    print_table(Table(("state", "cells", "which"), rows), form)
