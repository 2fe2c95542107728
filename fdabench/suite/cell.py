"""A cell: one point of a suite's grid, with its configuration as plain data and the id computed from it.

`suite.grid` creates cells; planning, execution and the results folder use them.
"""

import hashlib
from dataclasses import dataclass

from fdabench.cell_config import CellConfig
from fdabench.results.names import partition_name
from fdabench.results.suite_lock import LockedCell


@dataclass(frozen=True)
class Cell:
    """One training run of a suite.

    Args:
        config: everything that determines the results. The id is a hash of it.
        label: the name of the strategy in plots and tables. It is not part of the id.
        is_reference: whether the other strategies are compared with this one.
        detail: the settings that distinguish this cell from cells with the same title, such as `lr=0.001`; empty
            if the title is unique.
    """

    config: CellConfig
    label: str
    is_reference: bool
    detail: str = ""

    @property
    def canonical_json(self) -> str:
        """The configuration as JSON with sorted keys, from which the id is computed."""
        return self.config.canonical_json()

    @property
    def id(self) -> str:
        """The first 12 hex digits of SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.canonical_json.encode()).hexdigest()[:12]

    def to_lock(self) -> LockedCell:
        """The entry of this cell in `suite.lock.toml`."""
        return LockedCell(id=self.id, label=self.label, reference=self.is_reference, config=self.config)

    @classmethod
    def from_lock(cls, locked: LockedCell) -> "Cell":
        """The cell of a frozen suite, without its `detail`, which needs the whole suite."""
        return cls(locked.config, locked.label, locked.reference)

    @property
    def title(self) -> str:
        """One line that identifies the cell within its suite; used by progress output, `-k` and error messages."""
        c = self.config
        where = partition_name(c.partition.to_table())
        precision = "" if c.precision == "fp32" else f" {c.precision}"
        statistics = "" if c.batchnorm_stats == "local" else " averaged-statistics"
        clients = f" of {c.participation.clients}" if c.participation else ""
        workers = f"K={c.workers}{clients} b={c.batch_size} s{c.seed}"
        what = f"{c.dataset} {c.model}{precision}{statistics}"
        return " | ".join(filter(None, (self.label, what, where, self.detail, workers)))
