"""The direction of the last update of the global model, which every worker knows. Shape suffix: D = parameters."""

import torch
from torch import Tensor

from fdabench.core.seeds import torch_generator

FIRST_DIRECTION_SEED = 12
"""The seed of the direction in the first round, the same for all workers of all runs, as in the FDA authors' code."""


def unit_direction(anchor_D: Tensor, previous_anchor_D: Tensor) -> Tensor:
    """xi, the unit vector along `anchor_D - previous_anchor_D`, shape [D]; a fixed random one if both are equal."""
    moved_D = anchor_D - previous_anchor_D
    if not moved_D.any():
        random_D = torch.randn(anchor_D.shape, generator=torch_generator(FIRST_DIRECTION_SEED))
        moved_D = random_D.to(anchor_D)
    # the square of a very small step would underflow in float32
    xi_D: Tensor = moved_D / moved_D.norm(dtype=torch.float64)
    return xi_D
