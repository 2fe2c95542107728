"""What a local optimizer is: torch.optim's, over the rows of the worker matrix, one for each worker.

The fused kernels round the end of a tensor unlike its middle: with a tensor for each worker, that does not depend on
how many workers share its process.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import nn

AtSync = Literal["keep", "reset", "average"]
"""What becomes of a worker's optimizer state when its model is replaced: `keep` it (as the FDA paper does), `reset` it,
or `average` it over the workers, which is metered."""


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
    """Hyper-parameters, and the torch optimizer they make."""

    @property
    def state_on_sync(self) -> AtSync: ...

    def build(self, rows: Sequence[nn.Parameter]) -> torch.optim.Optimizer: ...


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
