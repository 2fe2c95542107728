"""Computes the bytes of a cell in each convention from the collectives in its ledger, without running it again.

A worker sends `up` bytes into a collective and receives `down` bytes; K is the number of workers. A cost is in bytes
over all workers. The convention `paper` is how the FDA authors count (EDBT 2025, their notebook): a model is sent up
and down, a local state is sent up only, and the initial distribution counts as one more sync.

For packed messages, `ring` means an all-to-all and an all-gather of shards, (K - 1) (up + down) bytes. If each worker
receives the messages of all others, it is (K - 1) K up. With `paper` and `star` such messages pass through a hub.

An evaluation takes place after the gradients and the local states of its step were sent and before the sync of its
step, if any (FDA paper, Algorithm 1 as its authors run it). With `after_sync` it takes place after that sync, whose
bytes are then included.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from fdabench.accounting.arrays import Counts


class Message(NamedTuple):
    """The part of one worker in one collective."""

    up: int
    """Bytes that the worker sends."""
    down: int
    """Bytes that the worker receives."""
    operation: str = "all_reduce"
    """One of the operations in `core.ledger`."""


CostFunction = Callable[[Message, int], int]
Convention = Mapping[str, CostFunction]


def _up(message: Message, K: int) -> int:
    return K * message.up


def _up_and_down(message: Message, K: int) -> int:
    return K * (message.up + message.down)


def _down(message: Message, K: int) -> int:
    return K * message.down


def _ring(message: Message, K: int) -> int:
    # each of K workers sends its message to K - 1 others
    return (K - 1) * (K * message.up if message.operation == "all_gather" else message.up + message.down)


def _free(message: Message, K: int) -> int:
    return 0


_WEIGHTS = ("model", "gradient", "control", "statistics", "optimizer", "factor")

CONVENTIONS: Mapping[str, Convention] = {
    "paper": {**dict.fromkeys(_WEIGHTS, _up_and_down), "state": _up, "initial": _up_and_down, "base": _down},
    "star": {**dict.fromkeys(_WEIGHTS, _up_and_down), "state": _up_and_down, "initial": _up_and_down, "base": _down},
    "ring": {**dict.fromkeys(_WEIGHTS, _ring), "state": _ring, "initial": _free, "base": _down},
    "upload": {**dict.fromkeys(_WEIGHTS, _up), "state": _up, "initial": _free, "base": _free},
}

SYNC_KINDS = ("model", "gradient")
"""Kinds of collectives that are syncs: after them all workers have the same model."""
_MOVES_WEIGHTS = ("initial", "base", "model", "gradient", "statistics", "factor")
_OPTIMIZER = ("optimizer", "control")


class EvalPoint(NamedTuple):
    """The time of an evaluation: at the end of local step `step`, before or after the sync of that step."""

    step: int
    after_sync: bool = False


class ByteCounts(NamedTuple):
    """Bytes over all workers.

    `model` counts models, gradients, the initial distribution and averaged running statistics. `optimizer` counts
    averaged optimizer states and control variates.
    """

    model: int
    state: int
    optimizer: int

    @property
    def total(self) -> int:
        return self.model + self.state + self.optimizer

    def columns(self, prefix: str = "") -> dict[str, int]:
        """Return the columns of a table: `bytes_model`, `bytes_state`, `bytes_optimizer` and `bytes_total`.

        Args:
            prefix: `paper_` if the convention is not the suite's but `paper`.

        >>> ByteCounts(8, 2, 0).columns()
        {'bytes_model': 8, 'bytes_state': 2, 'bytes_optimizer': 0, 'bytes_total': 10}
        """
        parts = {**self._asdict(), "total": self.total}
        return {f"{prefix}bytes_{part}": spent for part, spent in parts.items()}


PAPER = "paper_"
"""The prefix of byte columns that follow the `paper` convention in every suite."""


def total_bytes(ledger: pd.DataFrame, workers: int, convention: str) -> ByteCounts:
    """Return the bytes of all collectives in a cell's ledger.

    Args:
        ledger: the cell's ledger.
        workers: the number of workers.
        convention: a key of `CONVENTIONS`.
    """
    return _price(ledger, ledger["count"].to_numpy(), workers, convention)


def bytes_at(ledger: pd.DataFrame, instant: EvalPoint, workers: int, convention: str) -> ByteCounts:
    """Return the bytes of the collectives up to an evaluation; other arguments as in `total_bytes`."""
    return _price(ledger, counts_up_to(ledger, instant), workers, convention)


def add_byte_columns(evals: pd.DataFrame, ledger: pd.DataFrame, workers: int, convention: str) -> pd.DataFrame:
    """Add the bytes up to each of the E evaluations of one cell.

    Args:
        evals: rows of the cell's `evals`; `step` and `after_sync` are used.
        ledger: the cell's ledger.
        workers: the number of workers.
        convention: a key of `CONVENTIONS`.

    Returns:
        The same rows with `bytes_model`, `bytes_state`, `bytes_optimizer` and `bytes_total` in place of the columns
        `paper_bytes_*`.
    """
    counts_ER = _counts(ledger, evals["step"].to_numpy(np.int64), evals["after_sync"].to_numpy(bool))
    kinds = ledger["kind"].to_numpy(str)
    spent_ER = counts_ER * np.array(collective_costs(ledger, workers, convention), dtype=np.int64)
    model, state, optimizer = (
        spent_ER[:, np.isin(kinds, of)].sum(axis=1) for of in (_MOVES_WEIGHTS, "state", _OPTIMIZER)
    )
    parts = {"bytes_model": model, "bytes_state": state, "bytes_optimizer": optimizer}
    return without_paper_prefix(evals).assign(**parts, bytes_total=model + state + optimizer)


def without_paper_prefix(evals: pd.DataFrame) -> pd.DataFrame:
    """Return the evaluations with the columns `paper_bytes_*` renamed to `bytes_*`; the values do not change."""
    return evals.rename(columns=lambda name: str(name).removeprefix(PAPER))


def upstream_bytes(ledger: pd.DataFrame, workers: int, convention: str) -> int:
    """Return the bytes that the workers sent, of the total of `total_bytes`; they received the remaining bytes."""
    return total_bytes(_upstream(ledger), workers, convention).total


def upstream_bytes_at(ledger: pd.DataFrame, instant: EvalPoint, workers: int, convention: str) -> int:
    """Return the bytes that the workers sent up to an evaluation, of the total of `bytes_at`."""
    return bytes_at(_upstream(ledger), instant, workers, convention).total


def _upstream(ledger: pd.DataFrame) -> pd.DataFrame:
    return ledger.assign(down_bytes=0)


def peak_step_bytes(ledger: pd.DataFrame, workers: int, convention: str) -> int:
    """Return the largest number of bytes of all workers in one local step, without the initial model and the base."""
    at_step: Counter[int] = Counter()
    columns = zip(*(ledger[name] for name in ("kind", "first_step", "last_step", "count")), strict=True)
    for (kind, first, last, count), cost in zip(columns, collective_costs(ledger, workers, convention), strict=True):
        if kind not in ("initial", "base"):
            stride = (last - first) // (count - 1) if count > 1 else 1
            for step in range(int(first), int(last) + 1, int(stride)):
                at_step[step] += cost
    return max(at_step.values(), default=0)


def collectives_at(ledger: pd.DataFrame, instant: EvalPoint) -> int:
    """Return the number of collectives up to an evaluation."""
    return int(counts_up_to(ledger, instant).sum())


def syncs_at(ledger: pd.DataFrame, instant: EvalPoint) -> int:
    """Return the number of syncs up to an evaluation.

    The gradients of a step are sent before its evaluation. Its models are sent after it, unless `after_sync` is set.
    """
    return int(counts_up_to(ledger, instant)[ledger["kind"].isin(SYNC_KINDS)].sum())


def counts_up_to(ledger: pd.DataFrame, instant: EvalPoint) -> Counts:
    """Return how many collectives of each of the R rows of the ledger took place up to an evaluation, shape [R]."""
    counts: Counts = _counts(ledger, np.array([instant.step]), np.array([instant.after_sync]))[0]
    return counts


def _counts(ledger: pd.DataFrame, steps_E: Counts, after_sync_E: npt.NDArray[np.bool_]) -> Counts:
    """How many of the evenly spaced collectives of each of R rows took place before each of E evaluations: [E, R].

    Collectives that follow a sync, such as those of optimizer states, take place after the evaluation of their step.
    """
    before_sync = dict.fromkeys(("initial", "base", "gradient", "state"), steps_E)
    limits = {**before_sync, "model": np.where(after_sync_E, steps_E, steps_E - 1)}
    limit_ER = np.stack([limits.get(kind, steps_E - 1) for kind in ledger["kind"]], axis=1)
    first, last, count = (ledger[name].to_numpy() for name in ("first_step", "last_step", "count"))
    stride = np.maximum((last - first) // np.maximum(count - 1, 1), 1)
    done: Counts = np.clip((limit_ER - first) // stride + 1, 0, count)
    return done


def _price(ledger: pd.DataFrame, counts: Counts, workers: int, convention: str) -> ByteCounts:
    spent = dict.fromkeys(CONVENTIONS[convention], 0)
    for kind, count, cost in zip(ledger["kind"], counts, collective_costs(ledger, workers, convention), strict=True):
        spent[kind] += int(count) * cost
    model, optimizer = (sum(spent[kind] for kind in kinds) for kinds in (_MOVES_WEIGHTS, _OPTIMIZER))
    return ByteCounts(model, spent["state"], optimizer)


def collective_costs(ledger: pd.DataFrame, workers: int, convention: str) -> list[int]:
    """Return the cost of one collective of each row of the ledger; arguments as in `total_bytes`."""
    cost = CONVENTIONS[convention]
    rows = zip(ledger["kind"], ledger["payload_bytes"], ledger["down_bytes"], ledger["operation"], strict=True)
    return [cost[kind](Message(int(up), int(down), operation), workers) for kind, up, down, operation in rows]
