"""Adam at the server, in the two forms that the literature uses. They differ most in the early rounds."""

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.strategy import RoundInfo
from fdabench.hyperparameters import Decay, PositiveFloat


@dataclass(frozen=True)
class ReddiAdam:
    """The global model takes an Adam step along the mean drift, as Reddi et al. (2021) have it.

    FedAdam of Reddi et al. (2021), Algorithm 2: no bias correction, v_0 = tau^2, tau outside of the root.

    m <- beta1 m + (1 - beta1) u;  v <- beta2 v + (1 - beta2) u^2;  w <- w + lr m / (sqrt(v) + tau), u the mean drift.
    """

    lr: PositiveFloat = 1e-2
    beta1: Decay = 0.9
    beta2: Decay = 0.99
    tau: PositiveFloat = 1e-3
    is_plain_average: ClassVar[bool] = False
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Adam (Reddi)",
        formula="m ← β₁ m + (1−β₁) ū; v ← β₂ v + (1−β₂) ū², v₀ = τ²; w ← w + lr m/(√v + τ)",
        references=("reddi2021",),
        variant="Adam without bias correction, as in Reddi et al.",
        preset="reddi",
    )

    def init(self, w_D: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(w_D), torch.full_like(w_D, self.tau**2)

    def update(
        self, w_D: Tensor, u_D: Tensor, state: tuple[Tensor, Tensor], info: RoundInfo
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        m_D, v_D = state
        m_D = self.beta1 * m_D + (1 - self.beta1) * u_D
        v_D = self.beta2 * v_D + (1 - self.beta2) * u_D.square()
        return w_D + self.lr * m_D / (v_D.sqrt() + self.tau), (m_D, v_D)


@dataclass(frozen=True)
class KerasAdam:
    """The global model takes a step of Keras' Adam along the mean drift, as the FDA paper ran FedAdam.

    Keras' Adam on the pseudo-gradient -u, as the FDA paper ran FedAdam: bias-corrected, v_0 = 0.

    m, v as above;  w <- w + lr sqrt(1 - beta2^n) / (1 - beta1^n) m / (sqrt(v) + eps) in round n = 1, 2, ...
    """

    lr: PositiveFloat = 1e-3
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    eps: PositiveFloat = 1e-7
    is_plain_average: ClassVar[bool] = False
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Adam (Keras)",
        formula="m, v as in Adam of ū, v₀ = 0; w ← w + lr √(1−β₂ⁿ)/(1−β₁ⁿ) m/(√v + ε) in round n",
        references=("kingma2015",),
        variant="Adam with bias correction, as Keras has it (the paper's setting)",
        preset="keras",
    )

    def init(self, w_D: Tensor) -> tuple[Tensor, Tensor, int]:
        return torch.zeros_like(w_D), torch.zeros_like(w_D), 0

    def update(
        self, w_D: Tensor, u_D: Tensor, state: tuple[Tensor, Tensor, int], info: RoundInfo
    ) -> tuple[Tensor, tuple[Tensor, Tensor, int]]:
        m_D, v_D, n = state[0], state[1], state[2] + 1
        m_D = self.beta1 * m_D + (1 - self.beta1) * u_D
        v_D = self.beta2 * v_D + (1 - self.beta2) * u_D.square()
        lr = self.lr * sqrt(1 - self.beta2**n) / (1 - self.beta1**n)
        return w_D + lr * m_D / (v_D.sqrt() + self.eps), (m_D, v_D, n)
