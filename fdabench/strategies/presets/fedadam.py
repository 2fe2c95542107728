"""FedAdam: FedAvg whose server takes an Adam step on the pseudo-gradient -mean u (Reddi et al., 2021)."""

from dataclasses import dataclass
from typing import ClassVar

from fdabench.component_info import ComponentInfo
from fdabench.servers.adam import KerasAdam, ReddiAdam
from fdabench.strategies.fedavg import FedAvg


@dataclass(frozen=True)
class FedAdam(FedAvg):
    """As FedAvg, but the server takes an Adam step along the mean drift.

    FedAvg(period, Adam). A suite names which Adam, because the two differ in the early rounds, where bytes are saved.
    """

    server: ReddiAdam | KerasAdam = ReddiAdam()
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="FedAdam",
        formula="FedAvg with an Adam step along ū at the server",
        references=("reddi2021",),
        color="#0060A8",
        marker="o",
    )
