"""Adagrad at the server: the server optimizer of FedAdagrad (Reddi et al., 2021, Algorithm 2)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.strategy import RoundInfo
from fdabench.hyperparameters import PositiveFloat


@dataclass(frozen=True)
class Adagrad:
    """The global model moves along the mean drift, with steps that shrink as squared drifts add up.

    v <- v + u^2, v_0 = tau^2;  w <- w + lr u / (sqrt(v) + tau), u the mean drift. This is FedAdagrad with beta1 = 0, as
    Reddi et al. ran it.
    """

    lr: PositiveFloat = 1e-1
    tau: PositiveFloat = 1e-3
    is_plain_average: ClassVar[bool] = False
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Adagrad", formula="v ← v + ū², v₀ = τ²; w ← w + lr ū/(√v + τ)", references=("reddi2021", "duchi2011")
    )

    def init(self, w_D: Tensor) -> Tensor:
        return torch.full_like(w_D, self.tau**2)

    def update(self, w_D: Tensor, u_D: Tensor, v_D: Tensor, info: RoundInfo) -> tuple[Tensor, Tensor]:
        v_D = v_D + u_D.square()
        return w_D + self.lr * u_D / (v_D.sqrt() + self.tau), v_D
