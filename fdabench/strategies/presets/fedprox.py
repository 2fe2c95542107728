"""FedProx: FedAvg with a proximal term in the gradients (Li et al., MLSys 2020)."""

from dataclasses import dataclass
from typing import ClassVar

from fdabench.component_info import ComponentInfo
from fdabench.corrections.prox import Prox
from fdabench.strategies.fedavg import FedAvg


@dataclass(frozen=True)
class FedProx(FedAvg):
    """As FedAvg, but each worker is pulled towards the global model.

    FedAvg(period, correction = Prox). With mu = 0 it is FedAvg.
    """

    correction: Prox = Prox()
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="FedProx",
        formula="FedAvg with g_k ← g_k + μ (w_k − w₀)",
        references=("li2020fedprox",),
        color="#2E7D32",
        marker="H",
    )
