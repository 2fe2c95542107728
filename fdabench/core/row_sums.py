"""Reproducible sums over the rows of a matrix with one row for each worker.

Shape suffixes: K = workers, D = parameters.

The sum of a row is bitwise independent of the row's address and of the other rows, so a worker gets the same number in
one process and in several. BLAS does not guarantee that: the order of its additions may depend on the address of the
first number (MKL's sdot, on some processors) and on the number of rows (matrix products). The order of ATen's own sums
over a contiguous row depends on the length of the row, on the processor's vector instructions and on the number of
threads, which are the same for all rows of a run.
"""

import torch
from torch import Tensor

BLOCK = 1 << 16
"""Products that are stored at a time: 256 KiB, which stay in the cache until they are added."""
_LINE = 64
"""The alignment in bytes of tensors from torch's CPU allocator."""


def row_squared_norms(u_KD: Tensor) -> Tensor:
    """|u_k|^2, shape [K]; reads the rows once and stores no squares."""
    norm_K: Tensor = torch.linalg.vector_norm(_with_contiguous_rows(u_KD), dim=1)
    return norm_K.square()


def row_dots(u_KD: Tensor, v_D: Tensor) -> Tensor:
    """<u_k, v>, shape [K]. On a CPU, the products are rounded one by one and summed block by block by ATen."""
    if not u_KD.is_cpu:
        dot_K: Tensor = torch.linalg.vecdot(u_KD, v_D)
        return dot_K
    if len(u_KD) == 1 and len(v_D) <= BLOCK:
        # as in `fdabench.sync`; ATen adds a matrix of one row in the order of a vector, and this takes half the time
        return (u_KD * v_D).sum(1)
    return torch.stack([_dot(u_D, v_D) for u_D in u_KD])


def _dot(u_D: Tensor, v_D: Tensor) -> Tensor:
    if len(v_D) <= BLOCK:
        return (u_D * v_D).sum()
    return torch.stack([(u * v).sum() for u, v in zip(u_D.split(BLOCK), v_D.split(BLOCK), strict=True)]).sum()


def aligned_copy(x_KD: Tensor) -> Tensor:
    """`x_KD`, contiguous and aligned to a cache line, so that the result of a BLAS call on it is reproducible."""
    if x_KD.is_contiguous() and x_KD.data_ptr() % _LINE == 0:
        return x_KD
    return x_KD.clone(memory_format=torch.contiguous_format)


def _with_contiguous_rows(u_KD: Tensor) -> Tensor:
    """`u_KD` with contiguous rows, as ATen adds strided numbers in another order."""
    return u_KD if u_KD.stride(1) == 1 else u_KD.contiguous()
