"""SlowMo: momentum at the server in units of the learning rate (Wang et al., ICLR 2020)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.strategy import RoundInfo
from fdabench.hyperparameters import Decay, PositiveFloat


@dataclass(frozen=True)
class SlowMo:
    """The global model moves along a momentum of mean drifts, each divided by the learning rate of its round.

    v <- beta v + u / gamma;  w <- w + alpha gamma v, u the mean drift and gamma the learning rate of the round's last
    local step. This keeps gamma v: the momentum falls with the learning rate. At a constant learning rate it is
    `momentum` with lr = alpha, momentum = beta. After a learning rate of 0 the momentum restarts from 0.

    The defaults are those of torchdistx, for rounds of 48 steps. The authors chose beta from 0.4 to 0.8.
    """

    alpha: PositiveFloat = 1.0
    beta: Decay = 0.5
    is_plain_average: ClassVar[bool] = False
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="SlowMo", formula="v ← β v + ū/γ; w ← w + α γ v, γ the local learning rate", references=("wang2020",)
    )

    def init(self, w_D: Tensor) -> tuple[Tensor, float]:
        return torch.zeros_like(w_D), 0.0

    def update(
        self, w_D: Tensor, u_D: Tensor, state: tuple[Tensor, float], info: RoundInfo
    ) -> tuple[Tensor, tuple[Tensor, float]]:
        buffer_D, last_lr = state  # gamma v of the round before
        if info.lr != info.lr:
            raise ValueError("server slowmo: the local optimizer has no lr, by which drifts are divided")
        scale = 1.0 if info.lr == last_lr else info.lr / last_lr if last_lr else 0.0
        buffer_D = self.beta * scale * buffer_D + u_D
        return w_D + self.alpha * buffer_D, (buffer_D, info.lr)
