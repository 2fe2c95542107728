"""LinearFDA's monitor: 8 bytes (Theologitis et al., EDBT 2025)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.core.seeds import torch_generator
from fdabench.core.strategy import Round

FIRST_DIRECTION_SEED = 12
"""Before anything has moved, all workers of all runs take the same random direction, as the authors do."""


@dataclass(frozen=True)
class Linear:
    """|mean u|^2 >= <xi, mean u>^2 for a unit xi, so S_k = (|u_k|^2, <xi, u_k>) and H(S) = S_1 - S_2^2.

    xi is the direction of the last round's mean drift, which every worker knows from the last two global models.
    """

    reference: ClassVar[str] = "theologitis2025"

    def size(self, num_parameters: int) -> int:
        return 2

    def state(self, u_KD: Tensor, r: Round) -> Tensor:
        # a product by row: a matrix product would round differently for another number of rows
        return torch.stack([u_KD.square().sum(1), (u_KD * direction(r)).sum(1)], 1)

    def bound(self, s_S: Tensor) -> Tensor:
        return s_S[0] - s_S[1].square()


def direction(r: Round) -> Tensor:
    """xi, shape [D], a unit vector."""
    moved_D = r.anchor_D - r.previous_D
    if not moved_D.any():
        random_D = torch.randn(r.anchor_D.shape, generator=torch_generator(FIRST_DIRECTION_SEED))
        moved_D = random_D.to(r.anchor_D)
    # in float32 the square of a tiny step would vanish
    xi_D: Tensor = moved_D / moved_D.norm(dtype=torch.float64)
    return xi_D
