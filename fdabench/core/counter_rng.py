"""A counter-based random number generator (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011).

The bits are a hash of a key and a counter, so there is no state to store or share. The same key and counter give the
same bits in any process, on any device and under any transform such as `vmap`. Dropout masks are drawn this way.
"""

from typing import Any, TypeVar, overload

from torch import Tensor

UINT32_MASK = (1 << 32) - 1


Bits = TypeVar("Bits", int, Tensor)


def murmur3_mix(x: Bits) -> Bits:
    """Apply the finalizer of MurmurHash3, a bijection of 32-bit numbers.

    Args:
        x: an integer below 2^32, or a tensor of them, dtype int64.

    Returns:
        Integers below 2^32 of the same shape and type.
    """
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & UINT32_MASK
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & UINT32_MASK
    return x ^ (x >> 16)


@overload
def derive_key(seed: int, counter: int) -> int: ...
@overload
def derive_key(seed: Tensor, counter: Tensor | int) -> Tensor: ...
@overload
def derive_key(seed: int, counter: Tensor) -> Tensor: ...
def derive_key(seed: Any, counter: Any) -> Any:
    """Hash a seed and a counter, both below 2^32, to a key below 2^32; shapes are broadcast.

    Two Python integers give one, without the 22 kernel calls of a tensor.
    """
    return murmur3_mix((murmur3_mix(seed) + counter) & UINT32_MASK)
