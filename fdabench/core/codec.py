"""The protocol of codecs, which pack what each worker sends at a sync.

Shape suffixes: K = workers, D = parameters, B = bytes of a packed message.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

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


class TensorSlice(NamedTuple):
    """Where a tensor of the model lies in a row of D numbers."""

    name: str
    start: int
    stop: int
    shape: tuple[int, ...]
    """As stored in the row: convolution kernels have their channels last."""


Layout: TypeAlias = tuple[TensorSlice, ...]
"""The tensors of a model, in the order of a row."""


CodecState: TypeAlias = tuple[Tensor, ...]
"""What a linear codec keeps between syncs; equal in every process."""


class LinearMean(NamedTuple):
    """The result of `LinearCodec.average`."""

    mean_D: Tensor
    """What arrives at the workers in place of the mean; equal in every process."""
    sent_KD: Tensor
    """The part of each worker's message that is in it; error feedback keeps the rest."""
    state: CodecState
    """The codec's state at the next sync."""


@runtime_checkable
class LinearCodec(Protocol):
    """Averages messages by all-reduces of its own, because its messages are linear functions of what they encode.

    No message is gathered, so the bytes do not grow with the number of workers. A linear codec knows the tensors of the
    model and has a replicated state. Linear codecs are frozen dataclasses.
    """

    @property
    def needs_feedback(self) -> bool:
        """As `Codec.needs_feedback`."""
        ...

    def message_sizes(self, layout: Layout) -> tuple[int, ...]:
        """The bytes that one worker sends in each all-reduce of a sync, in their order."""
        ...

    def init(self, layout: Layout, draw_key: Tensor) -> CodecState:
        """The state before the first sync: tensors and tuples of them, whose shapes never change.

        Args:
            layout: the tensors of the model.
            draw_key: a key for random bits that all workers share; an integer below 2^32, dtype int64, shape [].
        """
        ...

    def average(self, m_KD: Tensor, layout: Layout, state: CodecState, mean: Callable[[Tensor], Tensor]) -> LinearMean:
        """Average the messages of all workers. No argument may be changed in place.

        Args:
            m_KD: what the workers of this process send, float32, shape [K, D].
            layout: the tensors of the model.
            state: the state that the previous `average` or `init` returned.
            mean: an all-reduce: takes shape [K, N], and returns the weighted mean over all workers, shape [N].
        """
        ...


AnyCodec: TypeAlias = Codec | LinearCodec


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
