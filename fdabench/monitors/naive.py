"""NaiveFDA's monitor: 4 bytes (Theologitis et al., EDBT 2025)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.row_sums import row_squared_norms
from fdabench.core.strategy import Round


@dataclass(frozen=True)
class Naive:
    """Bound the variance by the mean squared norm of the drifts: 4 bytes a check.

    Var = mean |u|^2 - |mean u|^2 <= mean |u|^2, so S_k = |u_k|^2 and H(S) = S.
    """

    starts_with_squared_norm: ClassVar[bool] = True
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Naive",
        formula="H = mean ‖u‖²",
        references=("theologitis2025",),
        color="#C98200",
        marker="v",
    )

    def state_size(self, num_parameters: int) -> int:
        return 1

    def local_state(self, u_KD: Tensor, r: Round) -> Tensor:
        return row_squared_norms(u_KD)[:, None]

    def variance_bound(self, s_S: Tensor) -> Tensor:
        return s_S[0]
