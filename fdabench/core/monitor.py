"""What a monitor is. Shape suffixes: K = workers held by this process, D = parameters, S = numbers in a local state."""

from typing import Protocol

from torch import Tensor

from fdabench.core.strategy import Round


class Monitor(Protocol):
    """A local state that is averaged over the workers, and what its average says of the model variance.

    Var(w) = 1/K sum_k |u_k|^2 - |mean u|^2, with drifts u_k = w_k - w_t0.
    """

    def state_size(self, num_parameters: int) -> int:
        """S, the numbers in a local state."""
        ...

    def local_state(self, u_KD: Tensor, r: Round) -> Tensor:
        """Local states S_k, shape [K, S]; row k depends on row k of the drifts and on the round only."""
        ...

    def variance_bound(self, s_S: Tensor) -> Tensor:
        """H(S) >= Var(w), from the average of the local states; a scalar."""
        ...
