"""SCAFFOLD: FedAvg with control variates (Karimireddy et al., ICML 2020)."""

from dataclasses import dataclass
from typing import ClassVar

from fdabench.component_info import ComponentInfo
from fdabench.corrections.scaffold import Scaffold
from fdabench.strategies.fedavg import FedAvg


@dataclass(frozen=True)
class ScaffoldStrategy(FedAvg):
    """As FedAvg, but control variates remove the bias of local steps on different data.

    FedAvg(period, correction = Scaffold). A sync sends twice as much.
    """

    correction: Scaffold = Scaffold()
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="SCAFFOLD",
        formula="FedAvg with g_k ← g_k + c − c_k",
        references=("karimireddy2020",),
        color="#6A1B9A",
        marker="D",
    )
