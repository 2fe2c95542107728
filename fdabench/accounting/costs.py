"""What a collective costs, as named functions of the facts in the ledger. Reading, never a rerun.

A worker sends `up` bytes into a collective and receives `down` bytes; K is the number of workers. A cost is in bytes
over all workers. `paper` is how the FDA authors count (EDBT 2025, their notebook): a model goes up and down, a local
state goes up only, and the initial distribution counts as one more sync.

For packed messages, `ring` means an all-to-all and an all-gather of shards, (K - 1) (up + down) bytes; where each
worker receives the messages of all others, (K - 1) K up. With `paper` and `star` these pass through a hub.

An evaluation comes when the gradients and the local states of its step are in and its sync, if any, is not yet made
(FDA paper, Algorithm 1 as its authors run it), or after the sync of its step, which it then pays (`after_sync`).
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd


class Message(NamedTuple):
    """One collective, from the side of one worker."""

    up: int
    """Bytes that it sends."""
    down: int
    """Bytes that it receives."""
    operation: str = "all_reduce"
    """One of those in `core.ledger`."""


Cost = Callable[[Message, int], int]
Convention = Mapping[str, Cost]


def _up(message: Message, K: int) -> int:
    return K * message.up


def _up_and_down(message: Message, K: int) -> int:
    return K * (message.up + message.down)


def _ring(message: Message, K: int) -> int:
    # each of K workers sends its message to K - 1 others
    return (K - 1) * (K * message.up if message.operation == "all_gather" else message.up + message.down)


def _free(message: Message, K: int) -> int:
    return 0


_WEIGHTS = ("model", "gradient", "control", "statistics", "optimizer")

CONVENTIONS: Mapping[str, Convention] = {
    "paper": {**dict.fromkeys(_WEIGHTS, _up_and_down), "state": _up, "initial": _up_and_down},
    "star": {**dict.fromkeys(_WEIGHTS, _up_and_down), "state": _up_and_down, "initial": _up_and_down},
    "ring": {**dict.fromkeys(_WEIGHTS, _ring), "state": _ring, "initial": _free},
    "upload": {**dict.fromkeys(_WEIGHTS, _up), "state": _up, "initial": _free},
}

SYNC_KINDS = ("model", "gradient")
"""A collective of one of these makes the workers' models one: it is a sync."""
_MOVES_WEIGHTS = ("initial", "model", "gradient", "statistics")
_OPTIMIZER = ("optimizer", "control")

Counts = npt.NDArray[np.int64]


class EvalPoint(NamedTuple):
    """An evaluation in a cell's course: at the end of local step `step`, before or after its sync."""

    step: int
    after_sync: bool = False


class ByteCounts(NamedTuple):
    """Bytes over all workers.

    `model` is what moves the weights: models, gradients, the initial distribution, and averaged running statistics.
    `optimizer` is averaged optimizer state and control variates.
    """

    model: int
    state: int
    optimizer: int

    @property
    def total(self) -> int:
        return self.model + self.state + self.optimizer

    def columns(self, prefix: str = "") -> dict[str, int]:
        """The columns of a table: `bytes_model`, `bytes_state`, `bytes_optimizer`, `bytes_total`.

        Args:
            prefix: `paper_` where the convention is not the suite's but `paper`.
        """
        parts = {**self._asdict(), "total": self.total}
        return {f"{prefix}bytes_{part}": spent for part, spent in parts.items()}


PAPER = "paper_"
"""The prefix of byte columns that follow the `paper` convention whatever the suite's is."""


def total_bytes(ledger: pd.DataFrame, workers: int, convention: str) -> ByteCounts:
    """All that a cell's ledger cost."""
    return _price(ledger, ledger["count"].to_numpy(), workers, convention)


def bytes_at(ledger: pd.DataFrame, instant: EvalPoint, workers: int, convention: str) -> ByteCounts:
    """What had been spent at an evaluation."""
    return _price(ledger, _count_up_to(ledger, instant), workers, convention)


def add_byte_columns(evals: pd.DataFrame, ledger: pd.DataFrame, workers: int, convention: str) -> pd.DataFrame:
    """The evaluations of one cell, E of them, with what it had spent at each in a convention.

    Args:
        evals: rows of the cell's `evals`; `step` and `after_sync` are read.
        ledger: the cell's ledger.
        convention: a key of `CONVENTIONS`.

    Returns:
        The same rows with `bytes_model`, `bytes_state`, `bytes_optimizer` and `bytes_total` in place of the columns
        `paper_bytes_*`.
    """
    counts_ER = _counts(ledger, evals["step"].to_numpy(np.int64), evals["after_sync"].to_numpy(bool))
    kinds = ledger["kind"].to_numpy(str)
    spent_ER = counts_ER * np.array(_costs(ledger, workers, convention), dtype=np.int64)
    model, state, optimizer = (
        spent_ER[:, np.isin(kinds, of)].sum(axis=1) for of in (_MOVES_WEIGHTS, "state", _OPTIMIZER)
    )
    parts = {"bytes_model": model, "bytes_state": state, "bytes_optimizer": optimizer}
    return without_paper_prefix(evals).assign(**parts, bytes_total=model + state + optimizer)


def without_paper_prefix(evals: pd.DataFrame) -> pd.DataFrame:
    """Evaluations with `bytes_*` for `paper_bytes_*`: their bytes in the `paper` convention, as in the file."""
    return evals.rename(columns=lambda name: str(name).removeprefix(PAPER))


def upstream_bytes(ledger: pd.DataFrame, workers: int, convention: str) -> int:
    """The part of all that a cell's ledger cost that the workers sent; the rest is what came back to them."""
    sent = _price(ledger.assign(down_bytes=0), ledger["count"].to_numpy(), workers, convention)
    return sent.total


def peak_step_bytes(ledger: pd.DataFrame, workers: int, convention: str) -> int:
    """The most bytes that all workers move in one local step; the initial distribution is in none."""
    at_step: Counter[int] = Counter()
    columns = zip(*(ledger[name] for name in ("kind", "first_step", "last_step", "count")), strict=True)
    for (kind, first, last, count), cost in zip(columns, _costs(ledger, workers, convention), strict=True):
        if kind != "initial":
            stride = (last - first) // (count - 1) if count > 1 else 1
            for step in range(int(first), int(last) + 1, int(stride)):
                at_step[step] += cost
    return max(at_step.values(), default=0)


def collectives_at(ledger: pd.DataFrame, instant: EvalPoint) -> int:
    """How many collectives there had been by an evaluation."""
    return int(_count_up_to(ledger, instant).sum())


def syncs_at(ledger: pd.DataFrame, instant: EvalPoint) -> int:
    """How many syncs there had been by an evaluation: a step's gradients cross before it, its models after."""
    return int(_count_up_to(ledger, instant)[ledger["kind"].isin(SYNC_KINDS)].sum())


def _count_up_to(ledger: pd.DataFrame, instant: EvalPoint) -> Counts:
    counts: Counts = _counts(ledger, np.array([instant.step]), np.array([instant.after_sync]))[0]
    return counts


def _counts(ledger: pd.DataFrame, steps_E: Counts, after_sync_E: npt.NDArray[np.bool_]) -> Counts:
    """How many of the evenly spaced collectives of each row, R of them, had happened at each evaluation: [E, R].

    What follows a sync, such as averaged optimizer state, comes after the evaluation of its step.
    """
    before_sync = dict.fromkeys(("initial", "gradient", "state"), steps_E)
    limits = {**before_sync, "model": np.where(after_sync_E, steps_E, steps_E - 1)}
    limit_ER = np.stack([limits.get(kind, steps_E - 1) for kind in ledger["kind"]], axis=1)
    first, last, count = (ledger[name].to_numpy() for name in ("first_step", "last_step", "count"))
    stride = np.maximum((last - first) // np.maximum(count - 1, 1), 1)
    done: Counts = np.clip((limit_ER - first) // stride + 1, 0, count)
    return done


def _price(ledger: pd.DataFrame, counts: Counts, workers: int, convention: str) -> ByteCounts:
    spent = dict.fromkeys(CONVENTIONS[convention], 0)
    for kind, count, cost in zip(ledger["kind"], counts, _costs(ledger, workers, convention), strict=True):
        spent[kind] += int(count) * cost
    model, optimizer = (sum(spent[kind] for kind in kinds) for kinds in (_MOVES_WEIGHTS, _OPTIMIZER))
    return ByteCounts(model, spent["state"], optimizer)


def _costs(ledger: pd.DataFrame, workers: int, convention: str) -> list[int]:
    """The cost of one collective of each row."""
    cost = CONVENTIONS[convention]
    rows = zip(ledger["kind"], ledger["payload_bytes"], ledger["down_bytes"], ledger["operation"], strict=True)
    return [cost[kind](Message(int(up), int(down), operation), workers) for kind, up, down, operation in rows]
