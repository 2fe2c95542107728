"""A collective that writes down everything it carries: the only way for workers to learn of each other."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from torch import Tensor

from fdabench.core.collective import Collective
from fdabench.core.ledger import Ledger


def unheard(what: str) -> None:
    pass


def unseen(kind: str, payload_bytes: int) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass(frozen=True)
class Channel:
    """What a strategy is handed. `kind` is what the message is: model, state, statistics or optimizer."""

    collective: Collective
    ledger: Ledger
    about: Callable[[str], None] = unheard
    """Told what is about to cross, before it does."""
    around: Callable[[str, int], AbstractContextManager[object]] = unseen
    """Held around everything that crosses, with its kind and the bytes of one worker."""

    def distribute(self, w_D: Tensor) -> Tensor:
        """The initial model, to every worker. Each process draws it from the seed, so it is counted and not sent."""
        self.ledger.record("initial", w_D)
        return w_D

    def mean(self, x_KD: Tensor, kind: str) -> Tensor:
        """Average over all workers, shape [D]; one row is what one worker put in."""
        self.about(f"averages {x_KD.shape[1]:,} numbers of kind {kind!r}")
        self.ledger.record(kind, x_KD[0])
        with self.around(kind, x_KD[0].nbytes):
            return self.collective.mean(x_KD)
