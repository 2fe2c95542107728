"""Rows cut into chunks, and integers packed at a fixed number of bits.

Shape suffixes: K = workers, D = parameters, C = chunks of a row, T = numbers of a chunk, N = codes, B = bytes.

Every result for a row depends on that row alone, in the same order of operations however many rows there are.
"""

from math import ceil

import torch
from torch import Tensor
from torch.nn.functional import pad


def num_chunks(num_parameters: int, chunk: int) -> int:
    """C; the last chunk may be shorter."""
    return ceil(num_parameters / chunk)


def split_chunks(m_KD: Tensor, chunk: int) -> Tensor:
    """Cut rows into chunks, shape [K, C, T]; the last one is filled up with zeros. A short row is one chunk."""
    size = min(chunk, m_KD.shape[1])
    m_KCT: Tensor = pad(m_KD, (0, -m_KD.shape[1] % size)).unflatten(1, (-1, size))
    return m_KCT


def join_chunks(m_KCT: Tensor, num_parameters: int) -> Tensor:
    """The inverse of `split_chunks`."""
    return m_KCT.flatten(1)[:, :num_parameters]


def chunk_lengths(num_parameters: int, chunk: int, device: torch.device) -> Tensor:
    """The numbers of each chunk without those that fill up the last one, shape [C]."""
    starts_C = torch.arange(num_chunks(num_parameters, chunk), device=device) * chunk
    return (num_parameters - starts_C).clamp(max=chunk)


def pairwise_sum(x: Tensor) -> Tensor:
    """The sum over the last dimension in an order that depends on its length alone.

    `Tensor.sum` chooses another order for another shape, number of threads or device.
    """
    while x.shape[-1] > 1:
        half = (x.shape[-1] + 1) // 2
        x = x[..., :half] + pad(x[..., half:], (0, 2 * half - x.shape[-1]))
    return x[..., 0]


def float_bytes(x_KN: Tensor) -> Tensor:
    """The bytes of float32 numbers, shape [K, 4 N]."""
    return x_KN.contiguous().view(torch.uint8)


def bytes_to_floats(packed_KB: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """The inverse of `float_bytes`: float32 numbers, from bytes of numbers of type `dtype`."""
    # a part of a message may begin at an address that is no multiple of a number's size
    return packed_KB.clone(memory_format=torch.contiguous_format).view(dtype).float()


def packed_size(count: int, width: int) -> int:
    """The bytes of `count` codes of `width` bits."""
    return ceil(count * width / 8)


def pack_bits(code_KN: Tensor, width: int) -> Tensor:
    """Pack integers below 2^width, the first one into the lowest bits, shape [K, packed_size(N, width)], uint8."""
    if 8 % width:
        bit_KNW = code_KN[..., None] >> torch.arange(width, device=code_KN.device) & 1
        return pack_bits(bit_KNW.flatten(1), 1)
    slots = 8 // width
    code_KBS = pad(code_KN.to(torch.uint8), (0, -code_KN.shape[1] % slots)).unflatten(1, (-1, slots))
    packed_KB: Tensor = code_KBS[..., 0]
    for slot in range(1, slots):
        packed_KB = packed_KB | code_KBS[..., slot] << width * slot
    return packed_KB


def unpack_bits(packed_KB: Tensor, width: int, count: int) -> Tensor:
    """The inverse of `pack_bits`: shape [K, count], uint8 if `width` divides 8 and else int64."""
    if 8 % width:
        bit_KNW = unpack_bits(packed_KB, 1, count * width).long().unflatten(1, (count, width))
        code_KN: Tensor = (bit_KNW << torch.arange(width, device=packed_KB.device)).sum(-1)
        return code_KN
    slots = [packed_KB >> width * slot & (1 << width) - 1 for slot in range(8 // width)]
    return torch.stack(slots, -1).flatten(1)[:, :count]
