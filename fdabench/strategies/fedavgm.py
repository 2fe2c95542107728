"""FedAvgM: FedAvg whose server keeps a momentum of the mean drifts (Hsu et al., 2019)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.core.channel import Channel
from fdabench.core.strategy import Outcome, Round, Traffic
from fdabench.fields import Steps
from fdabench.servers.momentum import Momentum
from fdabench.strategies.fedavg import FedAvg


@dataclass(frozen=True)
class FedAvgM:
    """As FedAvg, but the server keeps a momentum of the mean drifts.

    FedAvg(period, Momentum).
    """

    period: Steps
    server: Momentum = Momentum()
    reference: ClassVar[str] = "hsu2019"

    def init(self, w_D: Tensor) -> Round:
        return FedAvg(self.period, self.server).init(w_D)

    def step(self, t: int, w_KD: Tensor, r: Round, channel: Channel) -> Outcome:
        return FedAvg(self.period, self.server).step(t, w_KD, r, channel)

    def traffic(self, steps: int, num_parameters: int) -> Traffic:
        return FedAvg(self.period, self.server).traffic(steps, num_parameters)
