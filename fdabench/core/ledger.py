"""What crossed the wire. Facts only: what they cost is decided on reading (`accounting.costs`)."""

from dataclasses import dataclass, field, replace

from torch import Tensor


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """`count` like collectives, evenly spaced from `first_step` to `last_step`; sizes are one worker's share of one."""

    kind: str
    first_step: int
    last_step: int
    count: int
    elements: int
    dtype: str
    payload_bytes: int

    def can_extend_with(self, other: "LedgerEntry") -> bool:
        """Whether `other`, a single collective, goes on with this run at the same pace."""
        gap = other.first_step - self.last_step
        return (
            self._message == other._message
            and gap > 0
            and (self.count == 1 or gap * (self.count - 1) == self.last_step - self.first_step)
        )

    def extend_to(self, step: int) -> "LedgerEntry":
        return replace(self, last_step=step, count=self.count + 1)

    @property
    def _message(self) -> tuple[str, int, str, int]:
        return self.kind, self.elements, self.dtype, self.payload_bytes


@dataclass
class Ledger:
    """Every collective of a cell, in order. `step` is the local step now under way; the engine moves it on."""

    step: int = 0
    entries: list[LedgerEntry] = field(default_factory=list)
    _last_of_kind: dict[str, int] = field(default_factory=dict)

    def record(self, kind: str, message: Tensor) -> None:
        """Write down one collective into which each worker put a tensor like `message`."""
        payload = message.numel() * message.element_size()
        dtype = str(message.dtype).removeprefix("torch.")
        entry = LedgerEntry(kind, self.step, self.step, 1, message.numel(), dtype, payload)
        at = self._last_of_kind.get(kind)
        if at is not None and self.entries[at].can_extend_with(entry):
            self.entries[at] = self.entries[at].extend_to(self.step)
        else:
            self._last_of_kind[kind] = len(self.entries)
            self.entries.append(entry)

    def restore(self, step: int, entries: list[LedgerEntry]) -> None:
        """Be the ledger that had written down these entries by the end of this step."""
        self.step, self.entries[:] = step, entries
        self._last_of_kind = {entry.kind: at for at, entry in enumerate(entries)}
