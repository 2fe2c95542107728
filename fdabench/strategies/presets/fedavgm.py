"""FedAvgM: FedAvg whose server keeps a momentum of the mean drifts (Hsu et al., 2019)."""

from dataclasses import dataclass
from typing import ClassVar

from fdabench.component_info import ComponentInfo
from fdabench.servers.momentum import Momentum
from fdabench.strategies.fedavg import FedAvg


@dataclass(frozen=True)
class FedAvgM(FedAvg):
    """As FedAvg, but the server keeps a momentum of the mean drifts.

    FedAvg(period, Momentum).
    """

    server: Momentum = Momentum()
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="FedAvgM",
        formula="FedAvg with a step along a momentum of ū at the server",
        references=("hsu2019",),
        color="#7A4A1E",
        marker="X",
    )
