"""What a collective costs, as named functions of the facts in the ledger. Reading, never a rerun.

n is the payload that one worker puts into one collective, in bytes; K the number of workers. A cost is in
bytes over all workers. `paper` is how the FDA authors count (EDBT 2025, their notebook): a model goes up and
down, a local state goes up only, and the initial distribution counts as one more sync.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

Cost = Callable[[int, int], int]
Convention = Mapping[str, Cost]


def _up(n: int, K: int) -> int:
    return K * n


def _up_and_down(n: int, K: int) -> int:
    return 2 * K * n


def _ring(n: int, K: int) -> int:
    return 2 * (K - 1) * n


def _free(n: int, K: int) -> int:
    return 0


CONVENTIONS: Mapping[str, Convention] = {
    "paper": {"initial": _up_and_down, "model": _up_and_down, "optimizer": _up_and_down, "state": _up},
    "star": {"initial": _up_and_down, "model": _up_and_down, "optimizer": _up_and_down, "state": _up_and_down},
    "ring": {"initial": _free, "model": _ring, "optimizer": _ring, "state": _ring},
    "upload": {"initial": _free, "model": _up, "optimizer": _up, "state": _up},
}


class Bytes(NamedTuple):
    """Bytes over all workers; `model` has the initial distribution in it."""

    model: int
    state: int
    optimizer: int

    @property
    def total(self) -> int:
        return self.model + self.state + self.optimizer


def total_bytes(ledger: pd.DataFrame, workers: int, convention: str) -> Bytes:
    """All that a cell's ledger cost."""
    counts = {str(kind): rows["count"] for kind, rows in ledger.groupby("kind")}
    return _priced(ledger, counts, workers, convention)


def bytes_before_sync(ledger: pd.DataFrame, step: int, workers: int, convention: str) -> Bytes:
    """What had been spent at `step` when its local states were in and its sync, if any, was not yet made.

    That is the moment of an evaluation (FDA paper, Algorithm 1 as its authors run it).
    """
    counts = {}
    for kind, rows in ledger.groupby("kind"):
        limit = step if kind in ("state", "initial") else step - 1
        counts[str(kind)] = _count_up_to(rows, limit)
    return _priced(ledger, counts, workers, convention)


def syncs_before(ledger: pd.DataFrame, step: int) -> int:
    """Model averagings completed before the one, if any, that belongs to `step`."""
    return int(_count_up_to(ledger[ledger["kind"] == "model"], step - 1).sum())


def _count_up_to(rows: pd.DataFrame, limit: int) -> pd.Series:
    """How many of each row's evenly spaced collectives happened at a step <= limit."""
    gaps = (rows["count"] - 1).clip(lower=1)
    stride = ((rows["last_step"] - rows["first_step"]) // gaps).clip(lower=1)
    done = (limit - rows["first_step"]) // stride + 1
    return pd.Series(np.clip(done, 0, rows["count"]), index=rows.index)


def _priced(ledger: pd.DataFrame, counts: Mapping[str, pd.Series], workers: int, convention: str) -> Bytes:
    cost = CONVENTIONS[convention]
    spent = dict.fromkeys(("initial", "model", "state", "optimizer"), 0)
    for kind, count in counts.items():
        payloads = ledger.loc[count.index, "payload_bytes"]
        spent[kind] += sum(int(c) * cost[kind](int(n), workers) for c, n in zip(count, payloads, strict=True))
    return Bytes(spent["initial"] + spent["model"], spent["state"], spent["optimizer"])
