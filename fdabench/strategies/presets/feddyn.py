"""FedDyn: FedAvg with dynamic regularization (Acar et al., ICLR 2021)."""

from dataclasses import dataclass
from typing import ClassVar

from fdabench.component_info import ComponentInfo
from fdabench.corrections.dyn import Dyn
from fdabench.servers.dyn import DynServer
from fdabench.strategies.fedavg import FedAvg


@dataclass(frozen=True)
class FedDyn(FedAvg):
    """As FedAvg, but each worker's loss changes so that its minimum becomes that of the mean loss.

    FedAvg(period, DynServer, correction = Dyn). It sends what FedAvg sends.
    """

    server: DynServer = DynServer()
    correction: Dyn = Dyn()
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="FedDyn",
        formula="FedAvg with g_k ← g_k + α (w_k − w₀) − h_k and w ← w + ū + Σ ū",
        references=("acar2021",),
        color="#4E342E",
        marker="d",
    )
