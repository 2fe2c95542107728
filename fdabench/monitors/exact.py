"""The exact variance, for which every worker sends its whole drift: a reference for tests, figures and monitors."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.row_sums import row_squared_norms
from fdabench.core.strategy import Round


@dataclass(frozen=True)
class Exact:
    """Compute the exact variance from the whole drifts: a reference, as expensive as a sync.

    S_k = (|u_k|^2, u_k) and H(S) = S_1 - |S_2|^2 = Var: 4 (d + 1) bytes.
    """

    starts_with_squared_norm: ClassVar[bool] = True
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Exact",
        formula="H = mean ‖u‖² − ‖ū‖², the drifts themselves are sent",
        references=("theologitis2025",),
        color="#B0529A",
        marker="D",
    )

    def state_size(self, num_parameters: int) -> int:
        return num_parameters + 1

    def local_state(self, u_KD: Tensor, r: Round) -> Tensor:
        return torch.cat([row_squared_norms(u_KD)[:, None], u_KD], 1)

    def variance_bound(self, s_S: Tensor) -> Tensor:
        return s_S[0] - s_S[1:].square().sum()
