"""What of a suite is done, and what has to be done again and why."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch

from fdabench.catalogue.kinds import BUILT_IN, Catalogue
from fdabench.formatting import listing
from fdabench.results.store import NOT_RETRIED, RESULTS, Store, taken_apart
from fdabench.run.closure import code_of
from fdabench.suite.cell import Cell

SETTLED = ("done", "failed")
"""What is not run again by itself."""


MOST_NAMED = 3
"""Changes that are named in a line; programs are told all."""


class Change(NamedTuple):
    """A file of a cell's code, the data of a plug-in, or torch, as it was and as it is: hashes, versions, `absent`."""

    what: str
    then: str
    now: str

    @property
    def brief(self) -> str:
        return f"torch {self.then} -> {self.now}" if self.what == "torch" else f"{self.what} changed"

    @property
    def whole(self) -> str:
        return self.brief if self.what == "torch" else f"{self.brief} ({self.then} -> {self.now})"


class Standing(NamedTuple):
    """One cell: `done`, `failed`, `stale` or `to run`; and why, with all that has changed since it was run."""

    cell: Cell
    status: str
    why: str = ""
    changed: tuple[Change, ...] = ()


def standings(cells: Sequence[Cell], store: Store, catalogue: Catalogue = BUILT_IN) -> list[Standing]:
    return [_standing(cell, store, catalogue) for cell in cells]


FRESH = "run again because of --fresh"


def afresh(found: Sequence[Standing]) -> list[Standing]:
    """The same where what is settled is run again as well: `why` says so."""
    return [each._replace(why=FRESH) if each.status in SETTLED else each for each in found]


def tally(found: Sequence[Standing]) -> str:
    """`20 done | 1 failed | 3 stale: monitors/sketch.py changed | 1 to run`; `8 done, run again because of --fresh`."""
    counts = Counter(each.status for each in found)
    reasons = dict.fromkeys(reason for each in found if each.status == "stale" for reason in _reasons(each))
    again = {each.status for each in found if each.why == FRESH}
    done = f"{counts['done']} done" + (f", {FRESH}" if "done" in again else "")
    stale = [f"{counts['stale']} stale: {listing(list(reasons), MOST_NAMED)}"] if counts["stale"] else []
    retry = f", {FRESH}" if "failed" in again else " (--retry-failed runs them again)"
    failed = [f"{counts['failed']} failed{retry}"] if counts["failed"] else []
    return " | ".join([done, *failed, *stale, f"{counts['to run']} to run"])


def _standing(cell: Cell, store: Store, catalogue: Catalogue) -> Standing:
    record = store.read_record(cell.id)
    if record is None or record["state"] not in (*RESULTS, *NOT_RETRIED):
        return Standing(cell, "to run", "" if record is None else record["state"])
    with taken_apart(store.cell_dir(cell.id)):
        then, torch_then = {**record["code"]}, record["environment"]["torch"]
    changed = _changed(then | {"torch": torch_then}, code_of(cell.config, catalogue) | {"torch": torch.__version__})
    if changed:
        return Standing(cell, "stale", listing([each.whole for each in changed], MOST_NAMED), changed)
    if record["state"] in RESULTS and (damaged := store.damaged_table(cell.id)):
        return Standing(cell, "stale", f"{damaged} damaged")
    return Standing(cell, "done") if record["state"] in RESULTS else Standing(cell, "failed", record["state"])


def attempts(cells: Sequence[Cell], store: Store) -> dict[str, int]:
    """How often each cell was begun."""
    records = {cell.id: store.read_record(cell.id) for cell in cells}
    with taken_apart(store.root):
        return {cell_id: record["attempts"] if record else 0 for cell_id, record in records.items()}


def _changed(then: dict[str, str], now: dict[str, str]) -> tuple[Change, ...]:
    names = sorted(then.keys() | now.keys())
    changes = (Change(name, then.get(name, "absent"), now.get(name, "absent")) for name in names)
    return tuple(change for change in changes if change.then != change.now)


def _reasons(standing: Standing) -> list[str]:
    return [change.brief for change in standing.changed] or [standing.why]
