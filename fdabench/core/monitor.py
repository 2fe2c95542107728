"""The protocol of monitors, which bound the model variance from a small message of each worker.

Shape suffixes: K = workers of this process, D = parameters, S = numbers in a local state.
"""

from typing import Protocol

from torch import Tensor

from fdabench.core.strategy import Round


class Monitor(Protocol):
    """Computes a local state of each worker, and an upper bound of the model variance from the mean of the states.

    Var(w) = 1/K sum_k |u_k|^2 - |mean u|^2, with the drifts u_k = w_k - w_t0 (Theologitis et al., EDBT 2025).

    A monitor whose states begin with |u_k|^2 declares `starts_with_squared_norm = True`, which the strategy `fdaopt`
    needs.
    """

    def state_size(self, num_parameters: int) -> int:
        """S, the number of float32 values in a local state, for a model of `num_parameters` parameters."""
        ...

    def local_state(self, u_KD: Tensor, r: Round) -> Tensor:
        """Compute the local states S_k.

        Args:
            u_KD: the drifts, shape [K, D]. They must not be changed in place.
            r: the current round.

        Returns:
            Shape [K, S]. Row k may depend on row k of the drifts and on the round only.
        """
        ...

    def variance_bound(self, s_S: Tensor) -> Tensor:
        """H(S) >= Var(w), a tensor with one number, from the mean of the local states of all workers, shape [S]."""
        ...
