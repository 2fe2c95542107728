"""Nesterov momentum at the server: the outer optimizer of DiLoCo (Douillard et al., 2023)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.strategy import RoundInfo
from fdabench.hyperparameters import Decay, PositiveFloat


@dataclass(frozen=True)
class Nesterov:
    """The global model takes a step of SGD with Nesterov momentum along the mean drift (DiLoCo).

    v <- momentum v + mean_k u_k;  w <- w + lr (mean_k u_k + momentum v).

    The defaults are those of OpenDiLoCo and torchft, which were tuned for rounds of 500 steps. The best `lr` may exceed
    1, and a smaller `momentum` suits shorter rounds.
    """

    lr: PositiveFloat = 0.7
    momentum: Decay = 0.9
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Nesterov", formula="v ← μ v + ū; w ← w + lr (ū + μ v)", references=("douillard2023",)
    )

    @property
    def is_plain_average(self) -> bool:
        return self.lr == 1 and self.momentum == 0

    def init(self, w_D: Tensor) -> Tensor:
        return torch.zeros_like(w_D)

    def update(self, w_D: Tensor, u_D: Tensor, v_D: Tensor, info: RoundInfo) -> tuple[Tensor, Tensor]:
        v_D = self.momentum * v_D + u_D
        return w_D + self.lr * (u_D + self.momentum * v_D), v_D
