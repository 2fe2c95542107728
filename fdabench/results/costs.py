"""What a collective costs, as named functions of the facts in the ledger. Reading, never a rerun.

n is the payload that one worker puts into one collective, in bytes; K the number of workers. A cost is in
bytes over all workers. `paper` is how the FDA authors count (EDBT 2025, their notebook): a model goes up and
down, a local state goes up only, and the initial distribution counts as one more sync.

An evaluation of the workers' mean comes when the local states of its step are in and its sync, if any, is not yet made
(FDA paper, Algorithm 1 as its authors run it); one of a server's model comes after the server's step, which it pays.
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


_WEIGHTS = ("model", "statistics", "optimizer")

CONVENTIONS: Mapping[str, Convention] = {
    "paper": {**dict.fromkeys(_WEIGHTS, _up_and_down), "state": _up, "initial": _up_and_down},
    "star": {**dict.fromkeys(_WEIGHTS, _up_and_down), "state": _up_and_down, "initial": _up_and_down},
    "ring": {**dict.fromkeys(_WEIGHTS, _ring), "state": _ring, "initial": _free},
    "upload": {**dict.fromkeys(_WEIGHTS, _up), "state": _up, "initial": _free},
}


class Instant(NamedTuple):
    """An evaluation in a cell's course: at the end of local step `step`, before or after its sync."""

    step: int
    after_sync: bool = False


class Bytes(NamedTuple):
    """Bytes over all workers; `model` has the initial distribution in it, and running statistics that are averaged."""

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


def bytes_at(ledger: pd.DataFrame, instant: Instant, workers: int, convention: str) -> Bytes:
    """What had been spent at an evaluation."""
    return _priced(ledger, counts_at(ledger, instant), workers, convention)


def counts_at(ledger: pd.DataFrame, instant: Instant) -> Mapping[str, pd.Series]:
    """Collectives of each row of the ledger by an evaluation, by kind.

    What follows a sync, such as averaged optimizer state, comes after the evaluation of its step.
    """
    step, last_sync = instant.step, instant.step if instant.after_sync else instant.step - 1
    limits = {"initial": step, "state": step, "model": last_sync}
    return {str(kind): _count_up_to(rows, limits.get(str(kind), step - 1)) for kind, rows in ledger.groupby("kind")}


def _count_up_to(rows: pd.DataFrame, limit: int) -> pd.Series:
    """How many of each row's evenly spaced collectives happened at a step <= limit."""
    gaps = (rows["count"] - 1).clip(lower=1)
    stride = ((rows["last_step"] - rows["first_step"]) // gaps).clip(lower=1)
    done = (limit - rows["first_step"]) // stride + 1
    return pd.Series(np.clip(done, 0, rows["count"]), index=rows.index)


def _priced(ledger: pd.DataFrame, counts: Mapping[str, pd.Series], workers: int, convention: str) -> Bytes:
    cost = CONVENTIONS[convention]
    spent = dict.fromkeys(cost, 0)
    for kind, count in counts.items():
        payloads = ledger.loc[count.index, "payload_bytes"]
        spent[kind] += sum(int(c) * cost[kind](int(n), workers) for c, n in zip(count, payloads, strict=True))
    return Bytes(spent["initial"] + spent["model"] + spent["statistics"], spent["state"], spent["optimizer"])
