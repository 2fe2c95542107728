"""Adam (Kingma and Ba, 2015), and AdamW (Loshchilov and Hutter, 2019), which decouples weight decay from the gradient.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from fdabench.component_info import ComponentInfo
from fdabench.hyperparameters import Decay, NonNegative, PositiveFloat
from fdabench.optimizers.base import AtSync, LRSchedule


@dataclass(frozen=True)
class Adam:
    """Adam, torch.optim.Adam; Keras' defaults differ from torch's in eps = 1e-7.

    Args:
        lr: learning rate; with a schedule, its peak.
        beta1: decay of the mean of gradients, in [0, 1).
        beta2: decay of the mean of squared gradients, in [0, 1).
        eps: added to the denominator.
        weight_decay: coefficient λ of the term λ w that is added to the gradient.
        state_on_sync: what a sync does to the means (see `AtSync`).
        schedule: how the learning rate changes; None keeps it constant.
        clip: the largest L2 norm of a worker's gradient; None does not limit it.
    """

    lr: PositiveFloat
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    eps: PositiveFloat = 1e-8
    weight_decay: NonNegative = 0.0
    state_on_sync: AtSync = "keep"
    schedule: LRSchedule | None = None
    clip: PositiveFloat | None = None
    torch_class: ClassVar[type[torch.optim.Adam] | type[torch.optim.AdamW]] = torch.optim.Adam
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Adam",
        formula="m ← β₁ m + (1−β₁) g; v ← β₂ v + (1−β₂) g²; w ← w − lr m̂/(√v̂ + ε)",
        references=("kingma2015",),
    )

    def build(self, rows: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Build the torch optimizer (see `LocalOptimizer.build`)."""
        betas = (self.beta1, self.beta2)
        return self.torch_class(rows, lr=self.lr, betas=betas, eps=self.eps, weight_decay=self.weight_decay, fused=True)


@dataclass(frozen=True)
class AdamW(Adam):
    """AdamW, torch.optim.AdamW: weight decay apart from the gradient.

    Args:
        weight_decay: coefficient λ; each step multiplies w by 1 - lr λ.
    """

    weight_decay: NonNegative = 0.01
    torch_class: ClassVar[type[torch.optim.Adam] | type[torch.optim.AdamW]] = torch.optim.AdamW
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="AdamW", formula="as Adam, and w ← (1 − lr λ) w apart from it", references=("loshchilov2019",)
    )
