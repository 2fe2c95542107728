"""SlowMo: FedAvg with a slow momentum at the server (Wang et al., ICLR 2020)."""

from dataclasses import dataclass
from typing import ClassVar

from fdabench.component_info import ComponentInfo
from fdabench.servers.slowmo import SlowMo
from fdabench.strategies.fedavg import FedAvg


@dataclass(frozen=True)
class SlowMoStrategy(FedAvg):
    """As FedAvg, but the server keeps a momentum of the mean drifts in units of the learning rate.

    FedAvg(period, SlowMo). At a constant learning rate it is FedAvgM.
    """

    server: SlowMo = SlowMo()
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="SlowMo",
        formula="FedAvg with a step along a momentum of ū/γ at the server",
        references=("wang2020",),
        color="#B8860B",
        marker="h",
    )
