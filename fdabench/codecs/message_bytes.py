"""Numbers to bytes and back: float32 as they are, and codes at a fixed number of bits.

Shape suffixes: K = workers, N = numbers or codes, B = bytes.
"""

from collections.abc import Sequence
from math import ceil

import torch
from torch import Tensor
from torch.nn.functional import embedding, pad

_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Integers of so many bytes."""


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
    if width > 8:
        return _pack_wide(code_KN, width)
    if 8 % width:
        bit_KNW = code_KN[..., None] >> torch.arange(width, device=code_KN.device) & 1
        return pack_bits(bit_KNW.flatten(1), 1)
    slots = 8 // width
    # one code in each byte of a word; each is shifted down to the place that it has in the lowest byte
    word_KB = pad(code_KN.to(torch.uint8), (0, -code_KN.shape[1] % slots)).view(_WORDS[slots])
    packed_KB = word_KB
    for slot in range(1, slots):
        packed_KB = packed_KB | word_KB >> slot * (8 - width)
    return (packed_KB & 0xFF).to(torch.uint8)


def unpack_bits(packed_KB: Tensor, width: int, count: int) -> Tensor:
    """The inverse of `pack_bits`: shape [K, count], uint8 if `width` divides 8, and else int64."""
    if width > 8:
        return _unpack_wide(packed_KB, width, count)
    if 8 % width:
        bit_KNW = unpack_bits(packed_KB, 1, count * width).long().unflatten(1, (count, width))
        code_KN: Tensor = (bit_KNW << torch.arange(width, device=packed_KB.device)).sum(-1)
        return code_KN
    slots = [packed_KB >> shift & (1 << width) - 1 for shift in range(0, 8, width)]
    return torch.stack(slots, -1).flatten(1)[:, :count]


def _pack_wide(code_KN: Tensor, width: int) -> Tensor:
    """`pack_bits` for codes of more than 8 bits: a byte has bits of one code or of two."""
    if width % 8 == 0:
        byte_KN8: Tensor = code_KN.long().contiguous().view(torch.uint8).unflatten(1, (-1, 8))
        return byte_KN8[..., : width // 8].flatten(1)
    size = packed_size(code_KN.shape[1], width)
    at_B = torch.arange(0, 8 * size, 8, device=code_KN.device)
    first_B, shift_B = at_B // width, at_B % width
    # bits of the next code come above those that are left of the first one
    code_KM = pad(code_KN, (0, 1))
    low_KB = code_KM.index_select(1, first_B) >> shift_B
    high_KB = code_KM.index_select(1, first_B + 1) << (width - shift_B)
    return ((low_KB | high_KB) & 0xFF).to(torch.uint8)


def _unpack_wide(packed_KB: Tensor, width: int, count: int) -> Tensor:
    if width % 8 == 0:
        byte_KN8 = packed_KB.new_zeros(len(packed_KB), count, 8)
        byte_KN8[..., : width // 8] = packed_KB.unflatten(1, (count, width // 8))
        return byte_KN8.view(torch.int64)[..., 0]
    at_N = torch.arange(0, count * width, width, device=packed_KB.device)
    # a code begins within a byte, and ends at most this many bytes later
    num_bytes = (width + 6) // 8 + 1
    byte_KB = pad(packed_KB, (0, num_bytes)).long()
    first_N = at_N // 8
    code_KN = byte_KB.index_select(1, first_N)
    for i in range(1, num_bytes):
        code_KN = code_KN | byte_KB.index_select(1, first_N + i) << 8 * i
    return code_KN >> at_N % 8 & (1 << width) - 1


def unpack_values(packed_KB: Tensor, values: Sequence[float], count: int) -> Tensor:
    """What codes of 1 or 2 bits stand for, shape [K, count], float32.

    Args:
        packed_KB: as `pack_bits` made it.
        values: the value of each code.
        count: the number of codes in a row.
    """
    width, byte_256 = len(values) // 2, torch.arange(256, device=packed_KB.device)
    # what each byte stands for, so that a byte is looked up at once
    value_N = torch.tensor(values, device=packed_KB.device)
    table_256S = value_N[unpack_bits(byte_256[:, None], width, 8 // width).int()]
    return embedding(packed_KB.int(), table_256S).flatten(1)[:, :count]
