"""What the gate keeps of a results folder: the totals of each run, and what tells one run from another.

A *run* is one seed of a cell. Runs are paired by id, so neither the order of a suite's tables nor what else is in it
matters; `cell` is the same for all seeds of a cell, and readable.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

PROTOCOL = ("convention", "targets", "hit", "reach")


class Sync(NamedTuple):
    """A sync; the estimate is NaN without a monitor."""

    step: int
    estimate: float


@dataclass(frozen=True)
class Run:
    """One seed of a cell. Bytes are over all workers, in the snapshot's convention."""

    cell: str
    seed: int
    id: str
    environment: str
    state: str
    num_parameters: int
    seeds: str
    """Hash of what every draw is seeded with."""
    partition: str
    """Hash of how many samples of each class each worker holds."""
    payload: Mapping[str, tuple[int, ...]]
    """Bytes that one worker puts into one collective, by kind; all sizes that occurred."""
    theta: float | None
    period: float | None
    steps: int
    syncs: int
    sync_steps: str
    """Hash of the steps that synchronised."""
    first_syncs: tuple[Sync, ...]
    """All of them, or the first, where this was read from a baseline file."""
    bytes_model: int
    bytes_state: int
    bytes_optimizer: int
    bytes_total: int
    accuracy: float
    bytes_to: Mapping[str, int]
    """Bytes to each target; a target that was missed is absent."""
    steps_to: Mapping[str, int]
    """The same in steps; for limits, not in baselines."""

    @property
    def who(self) -> str:
        return f"{self.cell} s{self.seed}"


@dataclass(frozen=True)
class Snapshot:
    """All runs that have a result, sorted; `protocol` is how they were read: convention, targets, hit, reach."""

    suite: str
    protocol: Mapping[str, Any]
    environments: Mapping[str, Mapping[str, Any]]
    runs: tuple[Run, ...]
    unfinished: Mapping[str, str] = field(default_factory=dict)
    """Cells without a result, by id: `fda ... s0 (failed)`."""

    @property
    def by_id(self) -> dict[str, Run]:
        return {run.id: run for run in self.runs}
