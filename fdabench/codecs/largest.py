"""Which numbers have the largest magnitudes, the same on every device. Shape suffix: T = numbers to choose from."""

from fractions import Fraction

import torch
from torch import Tensor


def largest(m_T: Tensor, k: int) -> Tensor:
    """The indices of the k numbers with the largest magnitudes of each row, ascending, shape [..., k].

    Of equal magnitudes the one with the smallest index comes first: the order of ties in `torch.topk` depends on the
    device. NaN is above infinity.

    Args:
        m_T: float32, shape [..., T].
        k: at most T.
    """
    size = m_T.shape[-1]
    # float32 numbers that are not negative are in the order of their bits; with the index below, no two are equal
    rank_T = m_T.abs().contiguous().view(torch.int32).long() << 32 | torch.arange(size - 1, -1, -1, device=m_T.device)
    top_k = torch.topk(rank_T, k, -1, sorted=False).values
    return (size - 1 - (top_k & 0xFFFFFFFF)).sort(-1).values


def count_of_share(share: float, size: int) -> int:
    """max(1, floor(share size)) of the share as it is written: 0.29 of 100 are 29, not 28."""
    return max(1, int(Fraction(repr(share)) * size))


def index_bits(size: int) -> int:
    """ceil(log2 size), the bits of an index; at least one."""
    return max(1, (size - 1).bit_length())
