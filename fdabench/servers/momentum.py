"""FedAvgM: the server takes a step of SGD with momentum on the pseudo-gradient -mean u (Hsu et al., 2019)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.strategy import RoundInfo
from fdabench.hyperparameters import Decay, PositiveFloat


@dataclass(frozen=True)
class Momentum:
    """The global model moves along a momentum of the mean drifts (FedAvgM).

    v <- momentum v + mean_k u_k;  w <- w + lr v.
    """

    lr: PositiveFloat = 1.0
    momentum: Decay = 0.9
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Momentum", formula="v ← β v + ū; w ← w + lr v", references=("hsu2019",)
    )

    @property
    def is_plain_average(self) -> bool:
        return self.lr == 1 and self.momentum == 0

    def init(self, w_D: Tensor) -> Tensor:
        return torch.zeros_like(w_D)

    def update(self, w_D: Tensor, u_D: Tensor, v_D: Tensor, info: RoundInfo) -> tuple[Tensor, Tensor]:
        v_D = self.momentum * v_D + u_D
        return w_D + self.lr * v_D, v_D
