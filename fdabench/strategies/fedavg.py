"""FedAvg, also called local SGD: synchronise after a fixed number of local steps (McMahan et al., 2017)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.channel import Channel
from fdabench.core.periods import ends_period
from fdabench.core.strategy import Outcome, Round, Server, Traffic, begin, synchronize
from fdabench.fields import Steps
from fdabench.servers.average import Average


@dataclass(frozen=True)
class FedAvg:
    """Average the models after a fixed number of local steps (local SGD); with another server it is FedOpt.

    FedOpt: Reddi et al., 2021.
    """

    period: Steps
    server: Server = Average()
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="FedAvg",
        formula="after every τ local steps w ← w + ū, or what the server makes of ū",
        references=("mcmahan2017",),
        color="#3399DD",
        marker="P",
    )

    def init(self, w_D: Tensor) -> Round:
        return begin(w_D, self.server)

    def step(self, t: int, w_KD: Tensor, r: Round, channel: Channel) -> Outcome:
        if not ends_period(t, self.period):
            return Outcome(w_KD, r, False)
        return synchronize(w_KD, r, self.server, channel)

    def traffic(self, steps: int, num_parameters: int) -> Traffic:
        syncs = int(steps // self.period)
        return Traffic(syncs, syncs)
