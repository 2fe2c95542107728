"""What a local optimizer is: torch.optim's, over the rows of the worker matrix, one for each worker.

The fused kernels round the end of a tensor unlike its middle: with a tensor for each worker, that does not depend on
how many workers share its process.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import nn

AtSync = Literal["keep", "reset", "average"]
"""What becomes of a worker's optimizer state when its model is replaced: `keep` it (as the FDA paper does), `reset` it,
or `average` it over the workers, which is metered."""


class LocalOptimizer(Protocol):
    """Hyper-parameters, and the torch optimizer they make."""

    @property
    def state_on_sync(self) -> AtSync: ...

    def build(self, rows: Sequence[nn.Parameter]) -> torch.optim.Optimizer: ...
