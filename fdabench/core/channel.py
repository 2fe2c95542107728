"""A collective that writes down everything it carries: the only way for workers to learn of each other."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from torch import Tensor

from fdabench.core.collective import Collective
from fdabench.core.ledger import Ledger


def no_announcement(what: str) -> None:
    pass


def no_instrumentation(kind: str, payload_bytes: int) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass(frozen=True)
class Channel:
    """What a strategy is handed. `kind` is what the message is: model, state, statistics or optimizer."""

    collective: Collective
    ledger: Ledger
    before_collective: Callable[[str], None] = no_announcement
    """Told what is about to cross, before it does."""
    instrument: Callable[[str, int], AbstractContextManager[object]] = no_instrumentation
    """Held around everything that crosses, with its kind and the bytes of one worker."""

    def broadcast_initial(self, w_D: Tensor) -> Tensor:
        """The initial model, to every worker. Each process draws it from the seed, so it is counted and not sent."""
        self.ledger.record("initial", w_D)
        return w_D

    def mean(self, x_KD: Tensor, kind: str) -> Tensor:
        """Average over all workers, shape [D]; one row is what one worker put in."""
        self.before_collective(f"averages {x_KD.shape[1]:,} numbers of kind {kind!r}")
        self.ledger.record(kind, x_KD[0])
        with self.instrument(kind, x_KD[0].nbytes):
            return self.collective.mean(x_KD)
