"""The protocols of local optimizers and of learning-rate schedules.

A local optimizer holds settings. It builds a torch optimizer that has one parameter for each worker. Fused kernels
round the last elements of a tensor differently from the others, so one tensor for all workers would make the result
depend on the number of workers in the process.
"""

from collections.abc import Sequence
from math import nan
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import nn

AtSync = Literal["keep", "reset", "average"]
"""What a sync does to the optimizer state of the workers.

`keep`, as in the FDA paper, does not change it, and `reset` sets it to its initial value. `average` replaces it by the
mean over the workers; the ledger records the bytes.
"""


class LRSchedule(Protocol):
    """A learning rate that changes from step to step. Schedules are frozen dataclasses."""

    def factor(self, t: int, steps: int) -> float:
        """Return the learning rate of one local step, as a factor of the optimizer's `lr`.

        Args:
            t: the local step, from 0.
            steps: local steps of the budget, even if the cell ends earlier.

        Returns:
            At least 0.
        """
        ...


class LocalOptimizer(Protocol):
    """The settings of a local optimizer. Local optimizers are frozen dataclasses."""

    @property
    def state_on_sync(self) -> AtSync:
        """What a sync does to the optimizer state."""
        ...

    def build(self, rows: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Build the optimizer.

        Args:
            rows: the model of each worker as one flat parameter, shape [D].

        Returns:
            A torch optimizer whose step is elementwise within a parameter.
        """
        ...


@runtime_checkable
class HasSchedule(Protocol):
    """A local optimizer whose learning rate may follow a schedule.

    If `schedule` is None, the learning rate is constant.
    """

    @property
    def lr(self) -> float: ...

    @property
    def schedule(self) -> LRSchedule | None: ...


@runtime_checkable
class ClipsGradients(Protocol):
    """A local optimizer that may clip the L2 norm of each worker's gradient. If `clip` is None, it does not."""

    @property
    def clip(self) -> float | None: ...


@runtime_checkable
class HasMomentPeriods(Protocol):
    """A local optimizer that averages each vector of its state after a number of syncs of its own."""

    @property
    def moment_periods(self) -> tuple[int, ...]:
        """Syncs between two averages of each vector, in the order of the optimizer's state."""
        ...


def moment_periods(optimizer: LocalOptimizer, vectors: int) -> tuple[int, ...]:
    """Syncs between two averages of each of the optimizer's state vectors, where `state_on_sync` is `average`."""
    return optimizer.moment_periods if isinstance(optimizer, HasMomentPeriods) else (1,) * vectors


def learning_rate(optimizer: LocalOptimizer, t: int, steps: int) -> float:
    """The learning rate of a local step; NaN where the optimizer has no `lr`.

    Args:
        optimizer: its `lr` is the peak of its schedule, if it has one.
        t: the local step, from 0.
        steps: local steps of the budget.
    """
    if isinstance(optimizer, HasSchedule) and optimizer.schedule is not None:
        return optimizer.lr * optimizer.schedule.factor(t, steps)
    return float(getattr(optimizer, "lr", nan))
