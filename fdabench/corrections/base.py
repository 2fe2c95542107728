"""A protocol of corrections that work with some local optimizers only. `suite.sizes` asks it before a cell runs."""

from typing import Protocol, runtime_checkable

from fdabench.optimizers.base import LocalOptimizer


@runtime_checkable
class RestrictsOptimizer(Protocol):
    """A correction whose formula assumes something about the local optimizer."""

    def incompatibility(self, optimizer: LocalOptimizer) -> str:
        """Why the correction cannot be used with this optimizer, and what to do instead; empty if it can."""
        ...
