"""Adam (Kingma and Ba, 2015), and AdamW (Loshchilov and Hutter, 2019), which decays weights apart from the gradient."""

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
    """Adam, torch.optim.Adam; Keras' defaults differ from torch's in eps = 1e-7."""

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
        betas = (self.beta1, self.beta2)
        return self.torch_class(rows, lr=self.lr, betas=betas, eps=self.eps, weight_decay=self.weight_decay, fused=True)


@dataclass(frozen=True)
class AdamW(Adam):
    """AdamW, torch.optim.AdamW: weight decay apart from the gradient."""

    weight_decay: NonNegative = 0.01
    torch_class: ClassVar[type[torch.optim.Adam] | type[torch.optim.AdamW]] = torch.optim.AdamW
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="AdamW", formula="as Adam, and w ← (1 − lr λ) w apart from it", references=("loshchilov2019",)
    )
