"""Stochastic gradient descent (Robbins and Monro, 1951), with momentum."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from fdabench.component_info import ComponentInfo
from fdabench.hyperparameters import Decay, NonNegative, PositiveFloat
from fdabench.optimizers.base import AtSync, LRSchedule
from fdabench.optimizers.eager import eager


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent, torch.optim.SGD."""

    lr: PositiveFloat
    """The learning rate; with a schedule, its peak."""
    momentum: Decay = 0.0
    """The decay of the velocity, in [0, 1)."""
    nesterov: bool = False
    """Use Nesterov's momentum, which needs a momentum above 0."""
    weight_decay: NonNegative = 0.0
    """The coefficient λ of the term λ w that is added to the gradient."""
    state_on_sync: AtSync = "keep"
    """What a sync does to the velocity (see `AtSync`)."""
    schedule: LRSchedule | None = None
    """How the learning rate changes; None keeps it constant."""
    clip: PositiveFloat | None = None
    """The largest L2 norm of a worker's gradient; None does not limit it."""
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="SGD", formula="v ← μ v + g; w ← w − lr v", references=("robbins1951",)
    )

    def __post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: needs a momentum > 0")

    def build(self, rows: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Build the torch optimizer (see `LocalOptimizer.build`)."""
        return eager(torch.optim.SGD)(
            rows,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            fused=True,
        )
