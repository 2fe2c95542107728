"""Metered averaging: the only way in which a strategy learns anything about other workers.

A `Channel` wraps a `Collective` and records each message in a `Ledger`. The engine passes one to the strategy.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from torch import Tensor

from fdabench.core.collective import Collective
from fdabench.core.ledger import Ledger


def no_announcement(what: str) -> None:
    """The default of `Channel.before_collective`: do nothing."""


def no_instrumentation(kind: str, payload_bytes: int) -> AbstractContextManager[object]:
    """The default of `Channel.instrument`: measure nothing."""
    return nullcontext()


@dataclass(frozen=True)
class Channel:
    """Averages tensors over all workers and records what each worker sent.

    The `kind` of a message says what it contains: `initial`, `model`, `state`, `gradient`, `statistics` or `optimizer`.
    """

    collective: Collective
    ledger: Ledger
    before_collective: Callable[[str], None] = no_announcement
    """Called before each collective with a description of it; distributed runs compare these between ranks."""
    instrument: Callable[[str, int], AbstractContextManager[object]] = no_instrumentation
    """Makes a context that is entered around each collective, from its kind and the payload of one worker in bytes."""

    def broadcast_initial(self, w_D: Tensor) -> Tensor:
        """Record the broadcast of the initial model, shape [D], and return it.

        Nothing is sent: each process computes the same model from the seed.
        """
        self.ledger.record("initial", w_D)
        return w_D

    def mean(self, x_KD: Tensor, kind: str) -> Tensor:
        """Average the rows of all workers and record the message.

        Args:
            x_KD: one row for each worker of this process, shape [K, D].
            kind: what the message contains.

        Returns:
            The weighted mean over the workers of all processes, shape [D]; equal in every process.

        Raises:
            ProcessLostError: another process of the cell does not respond.
        """
        self.before_collective(f"averages {x_KD.shape[1]:,} numbers of kind {kind!r}")
        self.ledger.record(kind, x_KD[0])
        with self.instrument(kind, x_KD[0].nbytes):
            return self.collective.mean(x_KD)
