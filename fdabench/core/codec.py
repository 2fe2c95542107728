"""The protocol of codecs, which pack what each worker sends at a sync.

Shape suffixes: K = workers, D = parameters, B = bytes of a packed message.
"""

from typing import Literal, NamedTuple, Protocol

from torch import Tensor

from fdabench.core.ledger import ALL_GATHER, GATHER, Operation

Reply = Literal["dense", "recode", "all"]
"""How the mean comes back to the workers. `dense`: as float32 numbers. `recode`: packed by the same codec once more,
which rounds a second time. `all`: each worker receives the messages of all others and averages them itself.
"""


class Codec(Protocol):
    """Packs a row of float32 numbers into bytes and unpacks it. Codecs are frozen dataclasses without state.

    The size of a message depends on the number of parameters alone, never on the numbers, so it is known before a run.
    Row k of a result may depend on row k of the arguments only.
    """

    @property
    def reply(self) -> Reply: ...

    @property
    def needs_feedback(self) -> bool:
        """Whether workers do not converge with it unless they keep what it leaves out (error feedback)."""
        ...

    def message_size(self, num_parameters: int) -> int:
        """B, the bytes of one message."""
        ...

    def pack(self, m_KD: Tensor, key_K: Tensor, draw_key: Tensor) -> Tensor:
        """Pack one message for each worker.

        Args:
            m_KD: what to send, float32, shape [K, D]. It must not be changed in place.
            key_K: a key for random bits, one for each worker and sync; integers below 2^32, dtype int64.
            draw_key: a key that all messages of a sync share, also the one of the reply `recode`; likewise, shape [].
                What is drawn with it is known to who unpacks, and need not cross.

        Returns:
            Shape [K, B], dtype uint8.
        """
        ...

    def unpack(self, packed_KB: Tensor, num_parameters: int, draw_key: Tensor) -> Tensor:
        """What messages say: float32, shape [K, D].

        Args:
            packed_KB: messages that `pack` made, shape [K, B].
            num_parameters: D.
            draw_key: as `pack` was given it.
        """
        ...


class ReplyCost(NamedTuple):
    """What comes back to a worker that has sent a packed message."""

    operation: Operation
    down_bytes: int


def reply_cost(reply: Reply, message_bytes: int, dense_bytes: int, num_workers: int) -> ReplyCost:
    """The collective that a reply makes of packed messages, and the bytes that one worker receives.

    Args:
        reply: of the codec.
        message_bytes: bytes of one packed message.
        dense_bytes: bytes of the same numbers as they are.
        num_workers: workers in all processes.
    """
    if reply == "all":
        return ReplyCost(ALL_GATHER, (num_workers - 1) * message_bytes)
    return ReplyCost(GATHER, dense_bytes if reply == "dense" else message_bytes)
