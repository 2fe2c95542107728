"""SketchFDA's monitor: 4 + 4 depth width bytes (Theologitis et al., EDBT 2025; AMS sketch, Alon et al., 1996).

Shape suffixes: K = workers, D = parameters, F = numbers of a folded drift, R = depth * width numbers of a sketch.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor

from fdabench.core.rows import squared_norms
from fdabench.core.seeds import seed_for
from fdabench.core.signs import random_signs
from fdabench.core.strategy import Round
from fdabench.fields import Count, Seed

ROWS_AT_ONCE = 10
"""The sparse product rounds alike for a fixed number of columns, so a row's sketch never depends on its company."""
CHUNK, CELLS_PER_BUCKET = 4, 12
"""Neighbours that are folded together, and how many times more places for them there are than buckets in a row."""
Rows = Annotated[int, Ge(1), Le(999)]
"""Each costs a table of signs over the whole (folded) drift; a few dozen make the median as sure as one may wish."""


@dataclass(frozen=True)
class Sketch:
    """Estimate the variance by norms and sketches of the drifts: 4 (1 + depth x width) bytes a check.

    S_k = (|u_k|^2, sk(u_k)) and H(S) = S_1 - M2(sk) / (1 + eps), eps = 1 / sqrt(width).

    Each of `depth` rows adds each number, with a random sign, to a random one of `width` buckets; M2, the median over
    the rows of their squared norms, estimates |mean u|^2, because a sketch is linear. Bucket and sign are drawn
    independently for each number and row (a fully random table): for every vector, a row is unbiased with relative
    variance at most 2 / width. A drift of more than 48 width numbers is folded before, so that it is read only once:
    each chunk of 4 neighbours is added, with a random sign, to a random one of 12 width chunks, drawn independently
    as well; that adds at most 2 / (12 width) to the variance (4 % to the deviation), again for every vector.
    H(S) >= Var holds with high probability, not always.
    """

    depth: Rows = 5
    width: Count = 250
    seed: Seed = 0
    reference: ClassVar[str] = "alon1996 cormode2005"

    def __post_init__(self) -> None:
        if self.depth % 2 == 0:
            raise ValueError(f"depth: {self.depth} is even; the median of the rows needs an odd number")

    def size(self, num_parameters: int) -> int:
        return 1 + self.depth * self.width

    def state(self, u_KD: Tensor, r: Round) -> Tensor:
        folded_KF = _fold(u_KD, CELLS_PER_BUCKET * self.width, self.seed)
        sketch_RF = random_signs(folded_KF.shape[1], self.depth, self.width, self.seed, u_KD.device)
        return torch.cat([squared_norms(u_KD)[:, None], _apply(sketch_RF, folded_KF)], 1)

    def bound(self, s_S: Tensor) -> Tensor:
        rows_squared = s_S[1:].view(self.depth, self.width).square().sum(1)
        return s_S[0] - rows_squared.median() / (1 + 1 / sqrt(self.width))


def _fold(u_KD: Tensor, cells: int, seed: int) -> Tensor:
    """Random signed sums of chunks, and what is left at the end as it is; a short drift stays itself."""
    chunks, left = divmod(u_KD.shape[1], CHUNK)
    if chunks <= cells:
        return u_KD
    fold = random_signs(chunks, 1, cells, seed_for("fold", {"sketch": seed}), u_KD.device)
    folded_KF = u_KD.new_empty(len(u_KD), cells * CHUNK + left)
    folded_KF[:, cells * CHUNK :] = u_KD[:, chunks * CHUNK :]
    for u_D, folded_F in zip(u_KD, folded_KF, strict=True):
        torch.mm(fold, u_D[: chunks * CHUNK].view(chunks, CHUNK), out=folded_F[: cells * CHUNK].view(cells, CHUNK))
    return folded_KF


def _apply(sketch_RF: Tensor, u_KF: Tensor) -> Tensor:
    return torch.cat([_block(sketch_RF, rows) for rows in u_KF.split(ROWS_AT_ONCE)])


def _block(sketch_RF: Tensor, rows: Tensor) -> Tensor:
    missing = ROWS_AT_ONCE - len(rows)
    padded = torch.nn.functional.pad(rows, (0, 0, 0, missing)) if missing else rows
    return (sketch_RF @ padded.T).T[: len(rows)]
