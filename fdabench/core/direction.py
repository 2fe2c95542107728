"""Where the global model moved last, which every worker knows. Shape suffix: D = parameters."""

import torch
from torch import Tensor

from fdabench.core.seeds import torch_generator

FIRST_DIRECTION_SEED = 12
"""Before anything has moved, all workers of all runs take the same random direction, as FDA's authors do."""


def unit_direction(anchor_D: Tensor, previous_anchor_D: Tensor) -> Tensor:
    """xi, a unit vector along anchor - previous, shape [D]."""
    moved_D = anchor_D - previous_anchor_D
    if not moved_D.any():
        random_D = torch.randn(anchor_D.shape, generator=torch_generator(FIRST_DIRECTION_SEED))
        moved_D = random_D.to(anchor_D)
    # in float32 the square of a tiny step would vanish
    xi_D: Tensor = moved_D / moved_D.norm(dtype=torch.float64)
    return xi_D
