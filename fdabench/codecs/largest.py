"""Which numbers have the largest magnitudes, the same on every device.

Shape suffixes: T = numbers to choose from, G = groups of them, k = those that are chosen.
"""

from fractions import Fraction

import torch
from torch import Tensor
from torch.nn.functional import pad

_GROUP = 8


def largest(m_T: Tensor, k: int) -> Tensor:
    """The indices of the k numbers with the largest magnitudes of each row, ascending, shape [..., k], int64.

    Of equal magnitudes the one with the smallest index comes first: the order of ties in `torch.topk` depends on the
    device. NaN is above infinity.

    Args:
        m_T: float32, shape [..., T].
        k: at most T.
    """
    # float32 numbers that are not negative are in the order of their bits
    bits_T = m_T.abs().contiguous().view(torch.int32)
    if 2 * _GROUP * k > m_T.shape[-1]:
        return _first(bits_T, k).sort().values
    # the k numbers are within the k groups whose largest numbers are the largest, which is faster to find out
    bits_GT = pad(bits_T, (0, -m_T.shape[-1] % _GROUP), value=-1).unflatten(-1, (-1, _GROUP))
    group_k = _first(bits_GT.amax(-1), k).sort().values
    chosen_kT = bits_GT.gather(-2, group_k[..., None].expand(*group_k.shape, _GROUP))
    at_k = _first(chosen_kT.flatten(-2), k).sort().values
    return group_k.gather(-1, at_k // _GROUP) * _GROUP + at_k % _GROUP


def _first(bits_T: Tensor, k: int) -> Tensor:
    """The indices of the k largest integers, of equal ones those with the smallest index, in no order."""
    size = bits_T.shape[-1]
    # with the index below, no two are equal
    rank_T = bits_T.long() << 32 | torch.arange(size - 1, -1, -1, device=bits_T.device)
    return size - 1 - (torch.topk(rank_T, k, -1, sorted=False).values & 0xFFFFFFFF)


def count_of_share(share: float, size: int) -> int:
    """max(1, floor(share size)) of the share as it is written: 0.29 of 100 are 29, not 28."""
    return max(1, int(Fraction(repr(share)) * size))


def index_bits(size: int) -> int:
    """ceil(log2 size), the bits of an index; at least one."""
    return max(1, (size - 1).bit_length())
