"""What crossed the wire. Facts only: what they cost is decided on reading (`results.costs`)."""

from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor


class Entry(NamedTuple):
    """`count` like collectives, evenly spaced from `first_step` to `last_step`; sizes are one worker's share of one."""

    kind: str
    first_step: int
    last_step: int
    count: int
    elements: int
    dtype: str
    payload_bytes: int

    def takes(self, other: "Entry") -> bool:
        """Whether `other`, a single collective, goes on with this run at the same pace."""
        gap = other.first_step - self.last_step
        alike = (self.kind, *self[4:]) == (other.kind, *other[4:])
        return alike and gap > 0 and (self.count == 1 or gap * (self.count - 1) == self.last_step - self.first_step)

    def extended(self, step: int) -> "Entry":
        return self._replace(last_step=step, count=self.count + 1)


@dataclass
class Ledger:
    """Every collective of a cell, in order. `step` is the local step now under way; the engine moves it on."""

    step: int = 0
    entries: list[Entry] = field(default_factory=list)
    _last_of_kind: dict[str, int] = field(default_factory=dict)

    def record(self, kind: str, message: Tensor) -> None:
        """Write down one collective into which each worker put a tensor like `message`."""
        payload = message.numel() * message.element_size()
        dtype = str(message.dtype).removeprefix("torch.")
        entry = Entry(kind, self.step, self.step, 1, message.numel(), dtype, payload)
        at = self._last_of_kind.get(kind)
        if at is not None and self.entries[at].takes(entry):
            self.entries[at] = self.entries[at].extended(self.step)
        else:
            self._last_of_kind[kind] = len(self.entries)
            self.entries.append(entry)
