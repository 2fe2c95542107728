"""The protocol of local optimizers: settings that build a torch optimizer with one parameter for each worker.

Fused kernels round the end of a tensor differently from its middle. With one tensor for each worker, the result does
not depend on the number of workers in the process.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import nn

AtSync = Literal["keep", "reset", "average"]
"""What a sync does to the optimizer state of the workers: `keep` it, as in the FDA paper, `reset` it, or `average` it
over the workers, which the ledger records."""


class LocalOptimizer(Protocol):
    """The settings of a local optimizer. Local optimizers are frozen dataclasses."""

    @property
    def state_on_sync(self) -> AtSync:
        """What a sync does to the optimizer state."""
        ...

    def build(self, rows: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Build the optimizer.

        Args:
            rows: the model of each worker as one flat parameter, shape [D].

        Returns:
            A torch optimizer whose step is elementwise within a parameter.
        """
        ...
