"""One point of the grid: everything that decides its numbers, as plain data, and the id that follows from it."""

import hashlib
from dataclasses import dataclass

from fdabench.cell_config import CellConfig
from fdabench.results.names import partition_name
from fdabench.results.suite_lock import LockedCell


@dataclass(frozen=True)
class Cell:
    """`config` decides the numbers and so the id; `label` and `reference` are how the suite speaks of it.

    `detail` is what tells it from cells of the suite whose titles would be the same: `lr=0.001`; mostly empty.
    """

    config: CellConfig
    label: str
    is_reference: bool
    detail: str = ""

    @property
    def canonical_json(self) -> str:
        return self.config.canonical_json()

    @property
    def id(self) -> str:
        """The first 12 hex digits of SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.canonical_json.encode()).hexdigest()[:12]

    def to_lock(self) -> LockedCell:
        """As the frozen suite holds it."""
        return LockedCell(id=self.id, label=self.label, reference=self.is_reference, config=self.config)

    @classmethod
    def from_lock(cls, locked: LockedCell) -> "Cell":
        """The cell of a frozen suite, without its `detail`, which needs the whole suite."""
        return cls(locked.config, locked.label, locked.reference)

    @property
    def title(self) -> str:
        """One line that tells it from the others: for progress, `-k` and errors."""
        c = self.config
        where = partition_name(c.partition.to_table())
        precision = "" if c.precision == "fp32" else f" {c.precision}"
        statistics = "" if c.batchnorm_stats == "local" else " averaged-statistics"
        workers = f"K={c.workers} b={c.batch_size} s{c.seed}"
        what = f"{c.dataset} {c.model}{precision}{statistics}"
        return " | ".join(filter(None, (self.label, what, where, self.detail, workers)))
