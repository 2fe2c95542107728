"""What of a suite is done, what has to be done again and why, and what it will cost."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch

from fdabench.catalogue.kinds import BUILT_IN, Catalogue
from fdabench.core.strategy import Forecasts
from fdabench.results.costs import CONVENTIONS
from fdabench.results.store import NOT_RETRIED, RESULTS, Store, taken_apart
from fdabench.run.closure import code_of
from fdabench.run.setting import budget_of, scale_of, strategy_of
from fdabench.suite.cell import Cell

BYTES_PER_NUMBER = 4


SETTLED = ("done", "failed")
"""What is not run again by itself."""


class Standing(NamedTuple):
    """One cell: `done`, `failed`, `stale` or `to run`; and why."""

    cell: Cell
    status: str
    why: str = ""


def standings(cells: Sequence[Cell], store: Store, catalogue: Catalogue = BUILT_IN) -> list[Standing]:
    return [_standing(cell, store, catalogue) for cell in cells]


def tally(found: Sequence[Standing]) -> str:
    """`20 done | 1 failed | 3 stale: monitors/sketch.py changed | 1 to run`."""
    counts = Counter(each.status for each in found)
    reasons = dict.fromkeys(each.why.split(" (")[0] for each in found if each.status == "stale")
    stale = [f"{counts['stale']} stale: {', '.join(reasons)}"] if counts["stale"] else []
    failed = [f"{counts['failed']} failed (--retry-failed runs them again)"] if counts["failed"] else []
    return " | ".join([f"{counts['done']} done", *failed, *stale, f"{counts['to run']} to run"])


def _standing(cell: Cell, store: Store, catalogue: Catalogue) -> Standing:
    record = store.read_record(cell.id)
    if record is None or record["state"] not in (*RESULTS, *NOT_RETRIED):
        return Standing(cell, "to run", "" if record is None else record["state"])
    with taken_apart(store.cell_dir(cell.id)):
        then, torch_then = {**record["code"]}, record["environment"]["torch"]
    why = _changed(then, code_of(cell.config, catalogue)) or _torch_changed(torch_then)
    if not why and record["state"] in RESULTS and (damaged := store.damaged_table(cell.id)):
        why = f"{damaged} damaged"
    if why:
        return Standing(cell, "stale", why)
    return Standing(cell, "done") if record["state"] in RESULTS else Standing(cell, "failed", record["state"])


def attempts(cells: Sequence[Cell], store: Store) -> dict[str, int]:
    """How often each cell was begun."""
    records = {cell.id: store.read_record(cell.id) for cell in cells}
    with taken_apart(store.root):
        return {cell_id: record["attempts"] if record else 0 for cell_id, record in records.items()}


def _changed(then: dict[str, str], now: dict[str, str]) -> str:
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            return f"{name} changed ({then.get(name, 'absent')} -> {now.get(name, 'absent')})"
    return ""


def _torch_changed(then: str) -> str:
    return f"torch {then} -> {torch.__version__}" if then != torch.__version__ else ""


class Bound(NamedTuple):
    """Bytes that a cell moves: exact where least == most."""

    least: int
    most: int


def bytes_bound(cell: Cell, convention: str, catalogue: Catalogue = BUILT_IN) -> Bound | None:
    """In closed form, for whole runs of the budget; None for a strategy that cannot say.

    Averaged optimizer state is not in it.
    """
    strategy, steps = strategy_of(cell.config, catalogue), budget_of(cell.config, catalogue)
    if not isinstance(strategy, Forecasts):
        return None
    workers, cost = cell.config["workers"], CONVENTIONS[convention]
    num_parameters = scale_of(cell.config, catalogue).num_parameters
    traffic = strategy.traffic(steps, num_parameters)
    model, state = BYTES_PER_NUMBER * num_parameters, BYTES_PER_NUMBER * traffic.state_size
    fixed = cost["initial"](model, workers) + traffic.states * cost["state"](state, workers)
    sync = cost["model"](model, workers)
    return Bound(fixed + traffic.least_syncs * sync, fixed + traffic.most_syncs * sync)
