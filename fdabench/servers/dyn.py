"""The server of FedDyn (Acar et al., ICLR 2021)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.strategy import RoundInfo


@dataclass(frozen=True)
class DynServer:
    """The global model moves by the mean drift and by the sum of all mean drifts so far.

    s <- s + u;  w <- w + u + s, u the mean drift. Where K of N clients train in a round, s <- s + K / N u, because s is
    a mean over all clients. FedDyn's m <- m - alpha u and w <- w + u - m / alpha are this for any
    alpha. It is Nesterov momentum with momentum 1, and diverges without the correction `dyn`.
    """

    is_plain_average: ClassVar[bool] = False
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="FedDyn's", formula="s ← s + ū; w ← w + ū + s", references=("acar2021",)
    )

    def init(self, w_D: Tensor) -> Tensor:
        return torch.zeros_like(w_D)

    def update(self, w_D: Tensor, u_D: Tensor, s_D: Tensor, info: RoundInfo) -> tuple[Tensor, Tensor]:
        s_D = torch.add(s_D, u_D, alpha=info.client_share)
        return w_D + u_D + s_D, s_D
