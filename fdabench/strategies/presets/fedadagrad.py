"""FedAdagrad: FedAvg whose server takes an Adagrad step on the pseudo-gradient -mean u (Reddi et al., 2021)."""

from dataclasses import dataclass
from typing import ClassVar

from fdabench.component_info import ComponentInfo
from fdabench.servers.adagrad import Adagrad
from fdabench.strategies.fedavg import FedAvg


@dataclass(frozen=True)
class FedAdagrad(FedAvg):
    """As FedAvg, but the server takes an Adagrad step along the mean drift.

    FedAvg(period, Adagrad).
    """

    server: Adagrad = Adagrad()
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="FedAdagrad",
        formula="FedAvg with an Adagrad step along ū at the server",
        references=("reddi2021",),
        color="#AD1457",
        marker="d",
    )
