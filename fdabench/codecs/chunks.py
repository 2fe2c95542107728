"""Rows cut into chunks, each with a number of its own such as a scale.

Shape suffixes: K = workers, D = parameters, C = chunks of a row, T = numbers of a chunk.

Every result for a row depends on that row alone, in the same order of operations however many rows there are. The last
chunk of a row may be shorter than the others; no row is copied to fill it up, as one more copy is a tenth of a sync.
"""

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor
from torch.nn.functional import pad


def num_chunks(num_parameters: int, chunk: int) -> int:
    """C."""
    return ceil(num_parameters / chunk)


def reduce_chunks(reduce: Callable[[Tensor], Tensor], m_KD: Tensor, chunk: int) -> Tensor:
    """One number for each chunk, shape [K, C].

    Args:
        reduce: reduces the last dimension, from shape [K, C, T].
        m_KD: the rows.
        chunk: numbers of a chunk.
    """
    whole_KCT, rest_KT = _parts(m_KD, chunk)
    return torch.cat([reduce(whole_KCT), reduce(rest_KT[:, None])], 1) if rest_KT.shape[1] else reduce(whole_KCT)


def divide_chunks(m_KD: Tensor, scale_KC: Tensor, chunk: int) -> Tensor:
    """The rows divided by the scale of each chunk, float32."""
    result_KD = torch.empty(m_KD.shape, device=m_KD.device)
    (whole_KCT, rest_KT), (whole_out_KCT, rest_out_KT) = _parts(m_KD, chunk), _parts(result_KD, chunk)
    torch.div(whole_KCT, scale_KC[:, : whole_KCT.shape[1], None], out=whole_out_KCT)
    if rest_KT.shape[1]:
        torch.div(rest_KT, scale_KC[:, -1:], out=rest_out_KT)
    return result_KD


def multiply_chunks_(m_KD: Tensor, scale_KC: Tensor, chunk: int) -> Tensor:
    """Multiply the rows, float32, by the scale of each chunk, in place.

    A product of integers and scales into a new tensor takes twice the time of a conversion and a product in place.
    """
    whole_KCT, rest_KT = _parts(m_KD, chunk)
    whole_KCT.mul_(scale_KC[:, : whole_KCT.shape[1], None])
    if rest_KT.shape[1]:
        rest_KT.mul_(scale_KC[:, -1:])
    return m_KD


def _parts(m_KD: Tensor, chunk: int) -> tuple[Tensor, Tensor]:
    """Views of the whole chunks, [K, C, T], and of the shorter last one, which may have no numbers."""
    size = min(chunk, m_KD.shape[1])
    num_divided = m_KD.shape[1] // size * size
    return m_KD[:, :num_divided].unflatten(1, (-1, size)), m_KD[:, num_divided:]


def mean(x: Tensor) -> Tensor:
    """The mean over the last dimension."""
    return pairwise_sum(x) / x.shape[-1]


def pairwise_sum(x: Tensor) -> Tensor:
    """The sum over the last dimension, in an order that depends on its length alone.

    `Tensor.sum` chooses another order for another shape, number of threads or device.
    """
    while x.shape[-1] > 1:
        x = pad(x, (0, 1)) if x.shape[-1] % 2 else x
        half = x.shape[-1] // 2
        x = x[..., :half] + x[..., half:]
    return x[..., 0]
