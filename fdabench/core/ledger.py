"""The record of all messages of a cell: their kind, size and step. `accounting.costs` converts it to bytes.

>>> import torch
>>> ledger = Ledger()
>>> for step in (10, 20, 30):
...     ledger.step = step
...     ledger.record("model", torch.zeros(5))
>>> ledger.entries
[LedgerEntry(kind='model', first_step=10, last_step=30, count=3, elements=5, dtype='float32', payload_bytes=20, \
operation='all_reduce', down_bytes=20, slack=0)]
"""

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from torch import Tensor

Operation: TypeAlias = Literal["all_reduce", "gather", "all_gather"]
ALL_REDUCE: Final = "all_reduce"
"""The mean of all workers' numbers comes back to each of them."""
GATHER: Final = "gather"
"""Packed messages are unpacked and averaged in one place; the mean comes back."""
ALL_GATHER: Final = "all_gather"
"""Each worker receives the packed messages of all others."""

MessageFields: TypeAlias = tuple[str, int, str, int, Operation, int, int]
"""`kind`, `elements`, `dtype`, `payload_bytes`, `operation`, `down_bytes` and `slack` of a `LedgerEntry`."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A run of equal collectives at evenly spaced steps.

    Args:
        kind: what the messages contain, such as `model` or `state`.
        first_step: the local step of the first collective.
        last_step: the local step of the last one.
        count: the number of collectives.
        elements: numbers that one worker sends in one collective.
        dtype: their type, such as `float32`.
        payload_bytes: bytes that one worker sends in one collective.
        operation: what the collective does.
        down_bytes: bytes that one worker receives in one collective.
        slack: local steps until the result is used.
    """

    kind: str
    first_step: int
    last_step: int
    count: int
    elements: int
    dtype: str
    payload_bytes: int
    operation: Operation
    down_bytes: int
    slack: int

    def can_extend_with(self, step: int, message: MessageFields) -> bool:
        """Whether a collective of an equal message at `step` is the next of this run: after the same interval."""
        gap = step - self.last_step
        return (
            self.message == message
            and gap > 0
            and (self.count == 1 or gap * (self.count - 1) == self.last_step - self.first_step)
        )

    def extend_to(self, step: int) -> "LedgerEntry":
        """This run with one more collective, at `step`."""
        return LedgerEntry(self.kind, self.first_step, step, self.count + 1, *self.message[1:])

    @property
    def message(self) -> MessageFields:
        """What each of the collectives sends."""
        return (
            self.kind,
            self.elements,
            self.dtype,
            self.payload_bytes,
            self.operation,
            self.down_bytes,
            self.slack,
        )


@dataclass
class Ledger:
    """All collectives of a cell in order, run-length encoded. The engine sets `step` to the current local step."""

    step: int = 0
    entries: list[LedgerEntry] = field(default_factory=list)
    _last_of_kind: dict[str, int] = field(default_factory=dict)

    def record(
        self,
        kind: str,
        message: Tensor,
        operation: Operation = ALL_REDUCE,
        down_bytes: int | None = None,
        slack: int = 0,
    ) -> None:
        """Record one collective.

        Args:
            kind: what it contains.
            message: a tensor of the shape and dtype that each worker contributes.
            operation: what the collective does.
            down_bytes: bytes that each worker receives. Default: as many as it sends.
            slack: local steps until the result is used.
        """
        payload = message.numel() * message.element_size()
        dtype = str(message.dtype).removeprefix("torch.")
        down = payload if down_bytes is None else down_bytes
        sent: MessageFields = (kind, message.numel(), dtype, payload, operation, down, slack)
        at = self._last_of_kind.get(kind)
        if at is not None and self.entries[at].can_extend_with(self.step, sent):
            self.entries[at] = self.entries[at].extend_to(self.step)
        else:
            self._last_of_kind[kind] = len(self.entries)
            self.entries.append(LedgerEntry(kind, self.step, self.step, 1, *sent[1:]))

    def restore(self, step: int, entries: list[LedgerEntry]) -> None:
        """Replace the contents by the entries of a checkpoint that was written after local step `step`."""
        self.step, self.entries[:] = step, entries
        self._last_of_kind = {entry.kind: at for at, entry in enumerate(entries)}
