"""Yogi at the server: the server optimizer of FedYogi (Reddi et al., 2021, Algorithm 2)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.strategy import RoundInfo
from fdabench.hyperparameters import Decay, PositiveFloat


@dataclass(frozen=True)
class Yogi:
    """As the Adam of Reddi et al., but the second moment moves by at most (1 - beta2) u^2 in either direction.

    m <- beta1 m + (1 - beta1) u;  v <- v - (1 - beta2) u^2 sign(v - u^2), v_0 = tau^2;
    w <- w + lr m / (sqrt(v) + tau), u the mean drift.

    When drifts get small, v falls slowly, so steps do not grow at once as Adam's do. There is no bias correction.
    """

    lr: PositiveFloat = 1e-2
    beta1: Decay = 0.9
    beta2: Decay = 0.99
    tau: PositiveFloat = 1e-3
    is_plain_average: ClassVar[bool] = False
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Yogi",
        formula="m as in Adam of ū; v ← v − (1−β₂) ū² sign(v − ū²), v₀ = τ²; w ← w + lr m/(√v + τ)",
        references=("reddi2021", "zaheer2018"),
    )

    def init(self, w_D: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(w_D), torch.full_like(w_D, self.tau**2)

    def update(
        self, w_D: Tensor, u_D: Tensor, state: tuple[Tensor, Tensor], info: RoundInfo
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        m_D, v_D = state
        square_D = u_D.square()
        m_D = self.beta1 * m_D + (1 - self.beta1) * u_D
        v_D = v_D - (1 - self.beta2) * square_D * torch.sign(v_D - square_D)
        return w_D + self.lr * m_D / (v_D.sqrt() + self.tau), (m_D, v_D)
