"""Metered averaging: the only way in which a strategy learns anything about other workers.

A `Channel` wraps a `Collective` and records each message in a `Ledger`. The engine passes one to the strategy.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from fdabench.core.codec import Codec, reply_cost
from fdabench.core.collective import Collective
from fdabench.core.counter_rng import derive_key
from fdabench.core.ledger import ALL_REDUCE, Ledger, Operation
from fdabench.core.seeds import derive_seed, numpy_generator


def no_announcement(what: str) -> None:
    """The default of `Channel.before_collective`: do nothing."""


def no_instrumentation(kind: str, payload_bytes: int, operation: Operation) -> AbstractContextManager[object]:
    """The default of `Channel.instrument`: measure nothing."""
    return nullcontext()


_MAY_BE_LOST = ("model", "gradient", "control", "factor")
"""Kinds of messages that `LossyMessages` applies to. Local states, statistics and optimizer vectors always arrive."""


@dataclass(frozen=True)
class LossyMessages:
    """Loses what a worker sends into a sync with a probability, independently for each worker and local step.

    A lost message is left out of the mean, whose weights are divided by the sum of the weights that arrived. Which
    messages are lost depends on the seed and the local step, never on the strategy.

    Args:
        probability: of a loss, at least 0 and below 1.
        quorum: a sync that fewer messages reach does not move the model.
        seed: of the draws.
        weight_N: the averaging weights of all workers, shape [N].
    """

    probability: float
    quorum: int
    seed: int
    weight_N: Tensor

    def arrived(self, step: int) -> Tensor:
        """Return whether the messages of each worker at a local step arrive, shape [N]."""
        rng = numpy_generator(derive_seed("message-loss", {"seed": self.seed, "step": step}))
        drawn_N = rng.random(len(self.weight_N)) >= self.probability
        return torch.from_numpy(drawn_N).to(self.weight_N.device)

    def has_quorum(self, step: int) -> bool:
        return int(self.arrived(step).sum()) >= self.quorum

    def factors(self, step: int) -> Tensor | None:
        """Return what the rows of all workers are multiplied by before a weighted mean, shape [N].

        Returns:
            None if all messages arrive; zeros without a quorum.
        """
        arrived_N = self.arrived(step)
        if arrived_N.all():
            return None
        kept_N = self.weight_N * arrived_N
        if not self.has_quorum(step):
            return torch.zeros_like(kept_N)
        return arrived_N / kept_N.sum()


class HasDriftFactors(Protocol):
    """The factors of normalized averaging; `core.schedule.LocalSteps` has this method."""

    def drift_factors(self, start: int, stop: int) -> Tensor | None:
        """Return what the drifts of all workers are multiplied by, shape [N]; None if they stay as they are.

        Args:
            start: local steps before the round.
            stop: local steps at its end.
        """
        ...


class PackedMean(NamedTuple):
    """The result of `Channel.packed_mean`."""

    mean_D: Tensor
    """The weighted mean of all messages, as it arrives at the workers; equal in every process."""
    sent_KD: Tensor
    """What the message of each worker of this process says."""


@dataclass(frozen=True)
class Channel:
    """Averages tensors over all workers and records what each worker sent.

    The `kind` of a message says what it contains: `initial`, `base`, `model`, `state`, `gradient`, `control`,
    `statistics`, `optimizer` or `factor`, which is what a linear codec sends after its first message.
    """

    collective: Collective
    ledger: Ledger
    before_collective: Callable[[str], None] = no_announcement
    """Called before each collective with a description of it; distributed runs compare these between ranks."""
    instrument: Callable[[str, int, Operation], AbstractContextManager[object]] = no_instrumentation
    """Makes a context that is entered around each collective, from its kind, the payload of one worker in bytes, and
    the operation."""
    seed: int = 0
    """What the random bits of codecs are drawn with, below 2^32; the same in every process."""
    loss: LossyMessages | None = None
    """Which messages are lost; None: all arrive. Lost messages are recorded, because they were sent."""
    normalization: HasDriftFactors | None = None
    """What `normalize` multiplies drifts by; None: it leaves them as they are."""
    client_share: float = 1.0
    """The workers of a round divided by all clients: 1 unless the workers are drawn from more clients."""

    @property
    def has_quorum(self) -> bool:
        """Whether enough messages of the present local step arrive for a sync."""
        return self.loss is None or self.loss.has_quorum(self.ledger.step)

    def _factors(self, kind: str) -> Tensor | None:
        return self.loss.factors(self.ledger.step) if self.loss is not None and kind in _MAY_BE_LOST else None

    def normalize(self, u_KD: Tensor, start: int) -> Tensor:
        """Return what the workers of this process send of their drifts, shape [K, D].

        Args:
            u_KD: the drifts of a round that ends with the present local step.
            start: the number of local steps before that round.
        """
        factor_N = None if self.normalization is None else self.normalization.drift_factors(start, self.ledger.step)
        if factor_N is None:
            return u_KD
        return u_KD * factor_N.to(u_KD)[self.collective.local_rows, None]

    def broadcast_initial(self, w_D: Tensor) -> Tensor:
        """Record the broadcast of the initial model, shape [D], and return it.

        Nothing is sent: each process computes the same model from the seed.
        """
        self.ledger.record("initial", w_D)
        return w_D

    def broadcast_base(self, numbers: int) -> None:
        """Record that each worker received the frozen parameters of the model. Nothing is sent.

        Args:
            numbers: how many there are; each is a float32 number.
        """
        self.ledger.record("base", torch.empty(numbers, device="meta"))

    def mean(self, x_KD: Tensor, kind: str, slack: int = 0) -> Tensor:
        """Average the rows of all workers and record the message.

        Args:
            x_KD: one row for each worker of this process, shape [K, D].
            kind: what the message contains.
            slack: the number of local steps until the result is used, which may overlap the message.

        Returns:
            The weighted mean over the workers of all processes, shape [D]; equal in every process.

        Raises:
            ProcessLostError: another process of the cell does not respond.
        """
        self.before_collective(f"averages {x_KD.shape[1]:,} numbers of kind {kind!r}")
        row_D = x_KD[0]
        self.ledger.record(kind, row_D, slack=slack)
        if (factor_N := self._factors(kind)) is not None:
            x_KD = x_KD * factor_N[self.collective.local_rows, None]
        with self.instrument(kind, row_D.nbytes, ALL_REDUCE):
            return self.collective.mean(x_KD)

    def packed_mean(self, m_KD: Tensor, kind: str, codec: Codec, draw: int, slack: int = 0) -> PackedMean:
        """Average messages that a codec packs. The packed bytes are what crosses, also within one process.

        Args:
            m_KD: what the workers of this process send, float32, shape [K, D].
            kind: what the message contains.
            codec: packs each row, and says how the mean comes back.
            draw: a number that differs between messages. With the seed it makes the key that all workers share, and
                with the index of a worker the key of this worker.
            slack: the number of local steps until the result is used, which may overlap the message.

        Raises:
            ProcessLostError: another process of the cell does not respond.
        """
        size, collective = m_KD.shape[1], self.collective
        local = torch.arange(collective.num_workers, device=m_KD.device)[collective.local_rows]
        shared_key = derive_key(self.seed, draw)
        draw_key = torch.tensor(shared_key, device=m_KD.device)
        packed_KB = codec.pack(m_KD, derive_key(shared_key, local), draw_key)
        payload = packed_KB.shape[1]
        operation, down_bytes = reply_cost(codec.reply, payload, m_KD[0].nbytes, collective.num_workers)
        self.before_collective(f"gathers {payload:,} bytes of kind {kind!r}")
        self.ledger.record(kind, packed_KB[0], operation, down_bytes, slack)
        with self.instrument(kind, payload, operation):
            packed_NB = collective.all_gather(packed_KB)
        sent_ND = codec.unpack(packed_NB, size, draw_key)
        factor_N = self._factors(kind)
        mean_D = collective.weighted_sum(sent_ND if factor_N is None else sent_ND * factor_N[:, None])
        if codec.reply == "recode":
            server_key_1 = torch.tensor([derive_key(shared_key, collective.num_workers)], device=m_KD.device)
            mean_D = codec.unpack(codec.pack(mean_D[None], server_key_1, draw_key), size, draw_key)[0]
        return PackedMean(mean_D, sent_ND[collective.local_rows])
