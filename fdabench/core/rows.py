"""Sums over the rows of a matrix with a row for each worker. Shape suffixes: K = workers, D = parameters."""

import torch
from torch import Tensor


def squared_norms(u_KD: Tensor) -> Tensor:
    """|u_k|^2, shape [K]; reads the rows once and writes no squares down."""
    norm_K: Tensor = torch.linalg.vector_norm(u_KD, dim=1)
    return norm_K.square()


def dots(u_KD: Tensor, v_D: Tensor) -> Tensor:
    """<u_k, v>, shape [K]. Row by row: a matrix product would round differently for another number of rows."""
    if u_KD.is_cpu:
        return torch.stack([u_D.dot(v_D) for u_D in u_KD])
    dot_K: Tensor = torch.linalg.vecdot(u_KD, v_D)
    return dot_K
