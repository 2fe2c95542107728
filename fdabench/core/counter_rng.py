"""Random bits that depend on what they are for and on nothing else, as counter-based generators give them.

No state has to be kept or shared: the same key and the same counter give the same bits in any process, on any device
and under any transformation of the program (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011).
"""

from torch import Tensor

UINT32_MASK = (1 << 32) - 1


def murmur3_mix(x: Tensor) -> Tensor:
    """For whole numbers below 2^32 (int64), as many bits, mixed: the finalizer of MurmurHash3, which is one to one."""
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & UINT32_MASK
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & UINT32_MASK
    return x ^ (x >> 16)


def derive_key(seed: Tensor, counter: Tensor | int) -> Tensor:
    """The key that a seed has for a counter."""
    return murmur3_mix((murmur3_mix(seed) + counter) & UINT32_MASK)
