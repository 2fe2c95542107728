"""Defines the summary of a results folder that the gate compares: the totals of each run and the keys that identify it.

A *run* is one seed of a cell. Runs are paired by id, so neither the order of a suite's tables nor its other cells
matter. `cell` is a readable name that is the same for all seeds of a cell.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fdabench.cell_config import MetricName, Scalar, TableValue
from fdabench.metrics import METRICS, Metric

GONE = "gone"
"""The state of a run that is in the baseline and not in the results."""


class EvaluationProtocol(NamedTuple):
    """The settings by which costs and targets are evaluated; the names are those of `SuiteLock` and of the file."""

    convention: str
    targets: Sequence[float]
    consecutive: int
    comparison: str
    metric: MetricName = "accuracy"


class Sync(NamedTuple):
    """The step of a sync, and the monitor's estimate at it; NaN without a monitor."""

    step: int
    estimate: float


@dataclass(frozen=True)
class RunSummary:
    """One seed of a cell. Bytes are over all workers, in the snapshot's convention."""

    cell: str
    seed: int
    id: str
    environment: str
    state: str
    num_parameters: int
    seeds: str
    """Hash of the seeds of all draws."""
    partition: str
    """Hash of how many samples of each class each worker holds."""
    payload: Mapping[str, tuple[int, ...]]
    """Bytes that one worker sends into one collective, by kind; all sizes that occurred."""
    theta: float | None
    period: float | None
    steps: int
    syncs: int
    sync_steps: str
    """Hash of the steps that synchronized."""
    first_syncs: tuple[Sync, ...]
    """All syncs. If the run was read from a baseline file, only the first of them."""
    bytes_model: int
    bytes_state: int
    bytes_optimizer: int
    bytes_total: int
    accuracy: float
    bytes_to: Mapping[str, int]
    """Bytes to each target; a target that was missed is absent."""
    steps_to: Mapping[str, int]
    """Steps to each target. Limits use them; a baseline does not contain them."""
    config: Mapping[str, TableValue] = field(default_factory=dict)
    """The configuration of its cell, without the seed."""
    loss: float = math.nan
    """Mean cross-entropy in nats. A baseline has it if its suite has another metric than the accuracy; NaN if not."""

    @property
    def name(self) -> str:
        """The name of the cell and the seed, such as `... #3fa253 s0`."""
        return f"{self.cell} s{self.seed}"


class RunPair(NamedTuple):
    """The same run, before and after."""

    before: RunSummary
    after: RunSummary

    @property
    def same_environment(self) -> bool:
        """Whether the numbers of both runs have to be equal to the last bit, if the code is."""
        return self.before.environment == self.after.environment


class UnfinishedRun(NamedTuple):
    """A run without a result: its name, the last line of its error, and the plug-in's `file:line` that raised it."""

    cell: str
    name: str
    state: str
    id: str = ""
    error: str = ""
    place: str = ""

    @property
    def reason(self) -> str:
        """The error, such as `kamp.py:21: NameError: name 'thta' is not defined`; the state if there is no error."""
        return ": ".join(text for text in (self.place, self.error) if text) or self.state


@dataclass(frozen=True)
class ResultsSummary:
    """All runs that have a result, sorted.

    `environments` is keyed by hash.
    """

    suite: str
    protocol: EvaluationProtocol
    environments: Mapping[str, Mapping[str, Scalar]]
    runs: tuple[RunSummary, ...]
    unfinished: Mapping[str, UnfinishedRun] = field(default_factory=dict)
    """Runs without a result, by id."""

    @property
    def metric(self) -> Metric:
        """The metric of the targets."""
        return METRICS[self.protocol.metric]

    @property
    def by_id(self) -> dict[str, RunSummary]:
        """The runs by their ids."""
        return {run.id: run for run in self.runs}
