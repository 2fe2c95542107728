"""LinearFDA's monitor: 8 bytes (Theologitis et al., EDBT 2025)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.row_sums import row_dots, row_squared_norms
from fdabench.core.strategy import Round


@dataclass(frozen=True)
class Linear:
    """Bound the variance by norms of the drifts and their products with one common direction: 8 bytes a check.

    |mean u|^2 >= <xi, mean u>^2 for a unit xi, so S_k = (|u_k|^2, <xi, u_k>) and H(S) = S_1 - S_2^2.

    xi is the direction of the last round's mean drift, which every worker knows from the last two global models.
    """

    starts_with_squared_norm: ClassVar[bool] = True
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Linear",
        formula="H = mean ‖u‖² − ⟨ξ, ū⟩², ξ the unit direction of the last round's mean drift",
        references=("theologitis2025",),
        memory_vectors=1,  # the direction xi, for the whole round
        color="#009E73",
        marker="^",
    )

    def state_size(self, num_parameters: int) -> int:
        return 2

    def local_state(self, u_KD: Tensor, r: Round) -> Tensor:
        return torch.stack([row_squared_norms(u_KD), row_dots(u_KD, r.direction_D)], 1)

    def variance_bound(self, s_S: Tensor) -> Tensor:
        return s_S[0] - s_S[1].square()
