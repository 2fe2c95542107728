"""Symmetric linear quantization in chunks, which `int8` and `int4` share.

Shape suffixes: K = workers, D = parameters, C = chunks of a row.
"""

from math import inf, isfinite
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import threshold

from fdabench.codecs.chunks import divide_chunks, reduce_chunks

_LARGEST_SUBNORMAL = torch.finfo(torch.float32).tiny - 2.0**-149


class Quantized(NamedTuple):
    """q and s of `quantize`."""

    q_KD: Tensor
    """Whole numbers from -levels to levels, float32."""
    scale_KC: Tensor


def quantize(m_KD: Tensor, levels: int, chunk: int) -> Quantized:
    """q = round(m / s) to the nearest, ties to even, s = max |m| / levels over a chunk.

    A chunk of zeros has s = 0 and q = 0. A chunk with an infinity or NaN decodes to NaN, so that a diverged model is
    not hidden; its q are zeros.
    """
    # `threshold` replaces what is at most its bound, in one call, and leaves NaN
    scale_KC = threshold(reduce_chunks(max_magnitude, m_KD, chunk) / levels, _LARGEST_SUBNORMAL, 0)
    q_KD = divide_chunks(m_KD, threshold(scale_KC, 0, inf), chunk).round_()
    # a pass over all numbers is spared where none can be NaN
    if not isfinite(float(scale_KC.sum())):
        q_KD.nan_to_num_(0)
    return Quantized(q_KD, scale_KC)


def max_magnitude(x: Tensor) -> Tensor:
    """max |x| over the last dimension; NaN if there is one."""
    # two reductions without a copy of all magnitudes
    return torch.maximum(x.amax(-1), -x.amin(-1))


def divisor(scale: Tensor) -> Tensor:
    """The scales, with infinity for those that nothing can be divided by: zero and NaN."""
    return torch.where(scale > 0, scale, inf)
