"""Random signs in random places: what sketches of a long vector are made with (Charikar et al., 2002)."""

import warnings
from functools import lru_cache

import torch
from torch import Tensor

from fdabench.core.seeds import torch_generator


@lru_cache(maxsize=8)
def random_signs(dim: int, depth: int, width: int, seed: int, device: torch.device) -> Tensor:
    """A sparse matrix, [depth * width, dim]: one sign in each column of each of `depth` times `width` rows.

    Place and sign are drawn independently for each column and each time (a fully random table).

    The same for all workers of a run, and built once for all cells of a process that have the same seed.
    """
    generator = torch_generator(seed)
    bucket = torch.randint(width, (depth, dim), generator=generator)
    sign = torch.randint(2, (depth, dim), generator=generator) * 2.0 - 1.0
    row = bucket + width * torch.arange(depth)[:, None]
    order = row.flatten().argsort(stable=True)
    starts = torch.zeros(depth * width + 1, dtype=torch.int32)
    starts[1:] = torch.bincount(row.flatten(), minlength=depth * width).cumsum(0)
    with warnings.catch_warnings():
        # torch says once that CSR is in beta, and in some versions that it trusts the indices given
        warnings.simplefilter("ignore", UserWarning)
        matrix = torch.sparse_csr_tensor(
            starts, (order % dim).int(), sign.flatten()[order], (depth * width, dim), check_invariants=False
        )
    return matrix.to(device)
