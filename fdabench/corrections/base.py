"""Protocols of corrections that do not work with every workload. `suite.sizes` asks them before a cell runs."""

from typing import Protocol, runtime_checkable

from fdabench.optimizers.base import LocalOptimizer


@runtime_checkable
class RestrictsOptimizer(Protocol):
    """A correction whose formula assumes something about the local optimizer."""

    def incompatibility(self, optimizer: LocalOptimizer) -> str:
        """Why the correction cannot be used with this optimizer, and what to do instead; empty if it can."""
        ...


@runtime_checkable
class RestrictsSpeeds(Protocol):
    """A correction whose formula assumes something about the local steps of slow workers."""

    def speeds_fault(self, normalized: bool) -> str:
        """Why the correction cannot be used with slow workers, and what to do instead; empty if it can.

        Args:
            normalized: whether the drifts are scaled by the steps of their workers (`averaging = "steps"`).
        """
        ...
