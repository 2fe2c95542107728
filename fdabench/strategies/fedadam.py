"""FedAdam: FedAvg whose server takes an Adam step on the pseudo-gradient -mean u (Reddi et al., 2021)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.core.channel import Channel
from fdabench.core.strategy import Outcome, Round, Traffic
from fdabench.fields import Steps
from fdabench.servers.adam import KerasAdam, ReddiAdam
from fdabench.strategies.fedavg import FedAvg


@dataclass(frozen=True)
class FedAdam:
    """As FedAvg, but the server takes an Adam step along the mean drift.

    FedAvg(period, Adam): which Adam is said by name, because they differ where bytes are won.
    """

    period: Steps
    server: ReddiAdam | KerasAdam = ReddiAdam()
    reference: ClassVar[str] = "reddi2021"

    def init(self, w_D: Tensor) -> Round:
        return FedAvg(self.period, self.server).init(w_D)

    def step(self, t: int, w_KD: Tensor, r: Round, channel: Channel) -> Outcome:
        return FedAvg(self.period, self.server).step(t, w_KD, r, channel)

    def traffic(self, steps: int, num_parameters: int) -> Traffic:
        return FedAvg(self.period, self.server).traffic(steps, num_parameters)
