"""DiLoCo: FedAvg whose server takes steps of SGD with Nesterov momentum (Douillard et al., 2023)."""

from dataclasses import dataclass
from typing import ClassVar

from fdabench.component_info import ComponentInfo
from fdabench.servers.nesterov import Nesterov
from fdabench.strategies.fedavg import FedAvg


@dataclass(frozen=True)
class DiLoCo(FedAvg):
    """As FedAvg, but the server takes a step with Nesterov momentum along the mean drift.

    FedAvg(period, Nesterov). The paper trains language models with AdamW for 500 steps a round. Only parameters
    cross; each worker keeps its moments.
    """

    server: Nesterov = Nesterov()
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="DiLoCo",
        formula="FedAvg with a step of Nesterov momentum along ū at the server",
        references=("douillard2023",),
        color="#5D3FD3",
        marker="<",
    )
