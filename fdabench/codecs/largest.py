"""Which numbers have the largest magnitudes, the same on every device.

Shape suffixes: R = rows, T = numbers of a row, G = groups of them, k = those that are chosen.
"""

from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

_GROUPS = (32, 8)
"""Lengths of groups, of numbers and then of what is left of them."""
_LONG_ROW = 1 << 14
"""From this length on, NumPy is faster on a CPU although it is called row by row."""


def largest(m_T: Tensor, k: int) -> Tensor:
    """The indices of the k numbers with the largest magnitudes of each row, in no order, shape [..., k], int64.

    Of equal magnitudes the one with the smallest index comes first: the order of ties in `torch.topk` depends on the
    device. NaN is above infinity.

    Args:
        m_T: float32, shape [..., T].
        k: at most T.
    """
    m_RT = m_T.flatten(0, -2)
    select = _largest_in_numpy if m_RT.is_cpu and m_RT.shape[1] >= _LONG_ROW else _largest_in_torch
    return select(m_RT, k).view(*m_T.shape[:-1], k)


def _largest_in_numpy(m_RT: Tensor, k: int) -> Tensor:
    """As `largest`, ascending. `torch.topk` moves pairs of number and index, `numpy.partition` numbers only."""
    size = m_RT.shape[1]
    group = next((group for group in _GROUPS if 2 * group * k <= size), 1)
    # a zero that fills up the last group comes after all numbers of the row
    magnitude_RT = torch.zeros(len(m_RT), size + -size % group)
    torch.abs(m_RT, out=magnitude_RT[:, :size])
    # float32 numbers that are not negative are in the order of their bits
    bits_RGT = magnitude_RT.view(torch.int32).unflatten(1, (-1, group))
    max_RG = bits_RGT.amax(-1) if group > 1 else bits_RGT[..., 0]
    rows = zip(bits_RGT.numpy(), max_RG.numpy(), strict=True)
    return torch.from_numpy(np.stack([_largest_of_row(bits_GT, max_G, k) for bits_GT, max_G in rows]))


def _largest_of_row(bits_GT: NDArray[np.int32], max_G: NDArray[np.int32], k: int) -> NDArray[np.int64]:
    group = bits_GT.shape[1]
    # the k groups with the largest maxima have k numbers that are at least this large, so smaller ones are not needed
    bound = np.partition(max_G, -k)[-k]
    group_C = np.flatnonzero(max_G >= bound)
    candidate_CT = bits_GT.take(group_C, axis=0)
    place_C = np.flatnonzero(candidate_CT >= bound)
    bits_C = candidate_CT.ravel().take(place_C)
    kth = np.partition(bits_C, -k)[-k]
    is_chosen_C = bits_C > kth
    is_chosen_C[np.flatnonzero(bits_C == kth)[: k - np.count_nonzero(is_chosen_C)]] = True
    place_k = place_C[is_chosen_C]
    # whole groups come before a place, each as long as one of the row
    chosen_k = place_k // group
    return np.asarray((group_C.take(chosen_k) - chosen_k) * group + place_k)


def _largest_in_torch(m_RT: Tensor, k: int) -> Tensor:
    """As `largest`, in one call for all rows on any device."""
    bits_RT = m_RT.abs().contiguous().view(torch.int32)
    index_RT = torch.arange(m_RT.shape[1], device=m_RT.device).expand_as(bits_RT)
    for group in _GROUPS:
        if 2 * group * k <= bits_RT.shape[1]:
            bits_RT, index_RT = _narrow(bits_RT, index_RT, k, group)
    return index_RT.gather(1, _first(bits_RT, index_RT, k))


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
