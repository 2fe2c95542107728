"""FedYogi: FedAvg whose server takes a step of Yogi on the pseudo-gradient -mean u (Reddi et al., 2021)."""

from dataclasses import dataclass
from typing import ClassVar

from fdabench.component_info import ComponentInfo
from fdabench.servers.yogi import Yogi
from fdabench.strategies.fedavg import FedAvg


@dataclass(frozen=True)
class FedYogi(FedAvg):
    """As FedAvg, but the server takes a step of Yogi along the mean drift.

    FedAvg(period, Yogi).
    """

    server: Yogi = Yogi()
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="FedYogi",
        formula="FedAvg with a Yogi step along ū at the server",
        references=("reddi2021",),
        color="#00838F",
        marker=">",
    )
