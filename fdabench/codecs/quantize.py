"""Symmetric linear quantization in chunks, which `int8` and `int4` share.

Shape suffixes: K = workers, C = chunks of a row, T = numbers of a chunk.
"""

from math import inf
from typing import NamedTuple

import torch
from torch import Tensor

_SMALLEST_NORMAL = torch.finfo(torch.float32).tiny


class Quantized(NamedTuple):
    """q and s of `quantize`."""

    q_KCT: Tensor
    """Whole numbers from -levels to levels, float32."""
    scale_KC: Tensor


def quantize(m_KCT: Tensor, levels: int) -> Quantized:
    """q = round(m / s) to the nearest, ties to even, s = max |m| / levels over a chunk.

    A chunk of zeros has s = 0 and q = 0. A chunk with an infinity or NaN decodes to NaN, so that a diverged model is
    not hidden; its q are zeros.
    """
    scale_KC = m_KCT.abs().amax(-1) / levels
    scale_KC = torch.where(scale_KC < _SMALLEST_NORMAL, 0, scale_KC)
    q_KCT = (m_KCT / divisor(scale_KC)[..., None]).round_().nan_to_num_(0)
    return Quantized(q_KCT, scale_KC)


def divisor(scale: Tensor) -> Tensor:
    """The scales, with infinity for those that nothing can be divided by: zero and NaN."""
    return torch.where(scale > 0, scale, inf)
