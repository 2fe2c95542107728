"""The protocol of local optimizers: settings that build a torch optimizer with one parameter for each worker.

Fused kernels round the end of a tensor differently from its middle. With one tensor for each worker, the result does
not depend on the number of workers in the process.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import nn

AtSync = Literal["keep", "reset", "average"]
"""What a sync does to the optimizer state of the workers: `keep` it, as in the FDA paper, `reset` it, or `average` it
over the workers, which the ledger records."""


class LRSchedule(Protocol):
    """A learning rate that changes from step to step."""

    def factor(self, t: int, steps: int) -> float:
        """The learning rate of one local step, as a share of the optimizer's `lr`.

        Args:
            t: the local step, from 0.
            steps: local steps of the budget, whether or not the cell makes all of them.

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
    """A local optimizer whose learning rate may follow a schedule; with None it stays as it is."""

    @property
    def lr(self) -> float: ...

    @property
    def schedule(self) -> LRSchedule | None: ...


@runtime_checkable
class ClipsGradients(Protocol):
    """A local optimizer that may bound the norm of each worker's gradient; with None it does not."""

    @property
    def clip(self) -> float | None: ...


def scheduled_lr(optimizer: HasSchedule, t: int, steps: int) -> float:
    """The learning rate of a local step.

    Args:
        optimizer: its `lr` is the peak of its schedule.
        t: the local step, from 0.
        steps: local steps of the budget.
    """
    return optimizer.lr if optimizer.schedule is None else optimizer.lr * optimizer.schedule.factor(t, steps)
