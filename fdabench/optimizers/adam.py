"""Adam (Kingma and Ba, 2015), and AdamW (Loshchilov and Hutter, 2019), which decouples weight decay from gradients."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from fdabench.component_info import ComponentInfo
from fdabench.hyperparameters import Count, Decay, NonNegative, PositiveFloat
from fdabench.optimizers.base import AtSync, LRSchedule
from fdabench.optimizers.eager import eager


@dataclass(frozen=True)
class Adam:
    """Adam, torch.optim.Adam; Keras' defaults differ from torch's in eps = 1e-7."""

    lr: PositiveFloat
    """The learning rate; with a schedule, its peak."""
    beta1: Decay = 0.9
    """The decay of the mean of gradients, in [0, 1)."""
    beta2: Decay = 0.999
    """The decay of the mean of squared gradients, in [0, 1)."""
    eps: PositiveFloat = 1e-8
    """Added to the denominator."""
    weight_decay: NonNegative = 0.0
    """The coefficient λ of the term λ w that is added to the gradient."""
    state_on_sync: AtSync = "keep"
    """What a sync does to the two means (see `AtSync`)."""
    schedule: LRSchedule | None = None
    """How the learning rate changes; None keeps it constant."""
    clip: PositiveFloat | None = None
    """The largest L2 norm of a worker's gradient; None does not limit it."""
    first_every: Count | None = None
    """With `state_on_sync = "average"`: syncs between two averages of the mean of gradients; None averages at each."""
    second_every: Count | None = None
    """The same of the mean of squared gradients. DES-LOC (Iacob et al., 2026) has 3 and 6."""
    torch_class: ClassVar[type[torch.optim.Adam] | type[torch.optim.AdamW]] = torch.optim.Adam
    """The optimizer that `build` returns."""
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Adam",
        formula="m ← β₁ m + (1−β₁) g; v ← β₂ v + (1−β₂) g²; w ← w − lr m̂/(√v̂ + ε)",
        references=("kingma2015",),
    )

    def __post_init__(self) -> None:
        if self.state_on_sync != "average" and not self.first_every is self.second_every is None:
            raise ValueError('first_every, second_every: need state_on_sync = "average"')

    @property
    def moment_periods(self) -> tuple[int, ...]:
        return self.first_every or 1, self.second_every or 1

    def build(self, rows: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Build the torch optimizer (see `LocalOptimizer.build`)."""
        betas = (self.beta1, self.beta2)
        return eager(self.torch_class)(
            rows, lr=self.lr, betas=betas, eps=self.eps, weight_decay=self.weight_decay, fused=True
        )


@dataclass(frozen=True)
class AdamW(Adam):
    """AdamW, torch.optim.AdamW: weight decay apart from the gradient."""

    weight_decay: NonNegative = 0.01
    """The coefficient λ; each step multiplies w by 1 - lr λ."""
    torch_class: ClassVar[type[torch.optim.Adam] | type[torch.optim.AdamW]] = torch.optim.AdamW
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="AdamW", formula="as Adam, and w ← (1 − lr λ) w apart from it", references=("loshchilov2019",)
    )
