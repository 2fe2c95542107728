"""SketchFDA's monitor: 4 + 4 depth width bytes (Theologitis et al., EDBT 2025; AMS sketch, Alon et al., 1996).

Shape suffixes: K = workers, D = parameters, R = depth * width numbers of a sketch.
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor

from fdabench.core.seeds import torch_generator
from fdabench.core.strategy import Round
from fdabench.fields import Count, Seed

ROWS_AT_ONCE = 4
"""The sparse product rounds alike for a fixed number of columns, so a row's sketch never depends on its company."""


@dataclass(frozen=True)
class Sketch:
    """S_k = (|u_k|^2, sk(u_k)) and H(S) = S_1 - M2(sk) / (1 + eps), eps = 1 / sqrt(width).

    Each of `depth` rows adds coordinate i, with a random sign, to a random one of `width` buckets; M2, the median
    over the rows of their squared norms, estimates |mean u|^2, because a sketch is linear. Bucket and sign are drawn
    independently for each coordinate and row (a fully random table), so a row is unbiased with relative standard
    deviation at most sqrt(2 / width) for every vector. H(S) >= Var holds with high probability, not always.
    """

    depth: Count = 5
    width: Count = 250
    seed: Seed = 0
    reference: ClassVar[str] = "alon1996 cormode2005"

    def __post_init__(self) -> None:
        if self.depth % 2 == 0:
            raise ValueError(f"depth: {self.depth} is even; the median of the rows needs an odd number")

    def size(self, num_parameters: int) -> int:
        return 1 + self.depth * self.width

    def state(self, u_KD: Tensor, r: Round) -> Tensor:
        sketch_RD = _table(u_KD.shape[1], self.depth, self.width, self.seed, u_KD.device)
        return torch.cat([u_KD.square().sum(1, keepdim=True), _apply(sketch_RD, u_KD)], 1)

    def bound(self, s_S: Tensor) -> Tensor:
        rows_squared = s_S[1:].view(self.depth, self.width).square().sum(1)
        return s_S[0] - rows_squared.median() / (1 + 1 / sqrt(self.width))


def _apply(sketch_RD: Tensor, u_KD: Tensor) -> Tensor:
    missing = -len(u_KD) % ROWS_AT_ONCE
    padded_KD = torch.nn.functional.pad(u_KD, (0, 0, 0, missing))
    return torch.cat([(sketch_RD @ block.T).T for block in padded_KD.split(ROWS_AT_ONCE)])[: len(u_KD)]


@lru_cache(maxsize=4)
def _table(dim: int, depth: int, width: int, seed: int, device: torch.device) -> Tensor:
    """The sketch as a sparse matrix [R, D] of signs, the same for all workers of a run."""
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
        sketch_RD = torch.sparse_csr_tensor(
            starts, (order % dim).int(), sign.flatten()[order], (depth * width, dim), check_invariants=False
        )
    return sketch_RD.to(device)
