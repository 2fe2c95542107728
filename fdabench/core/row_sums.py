"""Sums over the rows of a matrix with a row for each worker. Shape suffixes: K = workers, D = parameters.

A row's sum has the same bits wherever the row lies in memory and whichever rows lie beside it, because a worker has to
get the same number in one process and in several. A BLAS does not promise that: the order in which it adds may depend
on the address of the first number (MKL's sdot, on some processors) and on the number of rows (a matrix product). ATen's
own sums take the numbers of a contiguous row in an order that depends on how many they are, on the processor's vector
instructions and on the number of threads, and those are the same for all rows of a run.
"""

import torch
from torch import Tensor

BLOCK = 1 << 16
"""Products that are written down at a time: 256 KiB stay in a core's cache until they are added."""
_LINE = 64
"""Bytes; torch's CPU allocator begins every tensor at a multiple of it."""


def row_squared_norms(u_KD: Tensor) -> Tensor:
    """|u_k|^2, shape [K]; reads the rows once and writes no squares down."""
    norm_K: Tensor = torch.linalg.vector_norm(_with_contiguous_rows(u_KD), dim=1)
    return norm_K.square()


def row_dots(u_KD: Tensor, v_D: Tensor) -> Tensor:
    """<u_k, v>, shape [K]: products, each rounded by itself, and ATen's sum of each block of them."""
    if not u_KD.is_cpu:
        dot_K: Tensor = torch.linalg.vecdot(u_KD, v_D)
        return dot_K
    return torch.stack([_dot(u_D, v_D) for u_D in u_KD])


def _dot(u_D: Tensor, v_D: Tensor) -> Tensor:
    if len(v_D) <= BLOCK:
        return (u_D * v_D).sum()
    return torch.stack([(u * v).sum() for u, v in zip(u_D.split(BLOCK), v_D.split(BLOCK), strict=True)]).sum()


def aligned_copy(x_KD: Tensor) -> Tensor:
    """The same numbers, row after row from the start of a cache line: what a BLAS makes of them has one answer."""
    if x_KD.is_contiguous() and x_KD.data_ptr() % _LINE == 0:
        return x_KD
    return x_KD.clone(memory_format=torch.contiguous_format)


def _with_contiguous_rows(u_KD: Tensor) -> Tensor:
    """A row's numbers beside each other: numbers that are apart are added in another order."""
    return u_KD if u_KD.stride(1) == 1 else u_KD.contiguous()
