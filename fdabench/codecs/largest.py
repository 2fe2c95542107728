"""Which numbers have the largest magnitudes, the same on every device.

Shape suffixes: R = rows, T = numbers of a row, G = groups of them, k = those that are chosen.
"""

from fractions import Fraction

import torch
from torch import Tensor
from torch.nn.functional import pad

_GROUPS = (32, 8)
"""Lengths of groups, of numbers and then of what is left of them."""


def largest(m_T: Tensor, k: int) -> Tensor:
    """The indices of the k numbers with the largest magnitudes of each row, in no order, shape [..., k], int64.

    Of equal magnitudes the one with the smallest index comes first: the order of ties in `torch.topk` depends on the
    device. NaN is above infinity.

    Args:
        m_T: float32, shape [..., T].
        k: at most T.
    """
    # float32 numbers that are not negative are in the order of their bits
    bits_RT = m_T.abs().contiguous().view(torch.int32).flatten(0, -2)
    index_RT = torch.arange(m_T.shape[-1], device=m_T.device).expand_as(bits_RT)
    for group in _GROUPS:
        if 2 * group * k <= bits_RT.shape[1]:
            bits_RT, index_RT = _narrow(bits_RT, index_RT, k, group)
    return index_RT.gather(1, _first(bits_RT, index_RT, k)).view(*m_T.shape[:-1], k)


def _narrow(bits_RT: Tensor, index_RT: Tensor, k: int, group: int) -> tuple[Tensor, Tensor]:
    """The numbers of the k groups with the largest numbers: the k largest numbers are among them.

    Groups have consecutive indices. Of two that have the same largest number, all of one come before all of the other.
    """
    filled = -bits_RT.shape[1] % group
    bits_RGT = pad(bits_RT, (0, filled), value=-1).unflatten(1, (-1, group))
    start_RG = index_RT[:, ::group]
    group_Rk = _first(bits_RGT.amax(-1), start_RG, k)
    row_R1 = torch.arange(len(bits_RT), device=bits_RT.device)[:, None] * bits_RGT.shape[1]
    chosen_RkT = bits_RGT.flatten(0, 1)[row_R1 + group_Rk]
    index_RkT = start_RG.gather(1, group_Rk)[..., None] + torch.arange(group, device=bits_RT.device)
    return chosen_RkT.flatten(1), index_RkT.flatten(1)


def _first(bits_RT: Tensor, index_RT: Tensor, k: int) -> Tensor:
    """Where the k largest integers are, of equal ones those with the smallest index."""
    rank_RT = (bits_RT.long() << 32) - index_RT  # no two are equal
    return torch.topk(rank_RT, k, 1, sorted=False).indices


def count_of_share(share: float, size: int) -> int:
    """max(1, floor(share size)) of the share as it is written: 0.29 of 100 are 29, not 28."""
    return max(1, int(Fraction(repr(share)) * size))


def index_bits(size: int) -> int:
    """ceil(log2 size), the bits of an index; at least one."""
    return max(1, (size - 1).bit_length())
