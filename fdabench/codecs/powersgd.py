"""PowerSGD: low-rank factors of each weight matrix cross (Vogels et al., 2019).

Shape suffixes: K = workers, D = parameters, n x m = a matrix, r = the rank.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.codec import Layout, LinearMean, Reply
from fdabench.core.counter_rng import derive_key
from fdabench.core.row_sums import aligned_copy
from fdabench.hyperparameters import Count


@dataclass(frozen=True)
class PowerSGD:
    """Send each n x m matrix M_k as P_k = M_k Q and then Q_k = M_k^T P: 4 r (n + m) bytes in place of 4 n m.

    Both are averaged by an all-reduce, P is orthogonalized between, and P Q^T arrives at the workers in place of the
    mean of M_k. Q is the one of the previous sync (warm start), and random numbers at the first. A kernel of a
    convolution is a matrix with a row for each output channel. Vectors, and matrices that r (n + m) numbers would not
    make smaller, are sent as they are.

    The residual of a worker is M_k - P Q^T, as in PyTorch's hook. Rank 2 is that of the paper's experiments with
    images; the hook has 1. There is no reply `recode`: every worker receives the factors, and no server packs a mean.
    """

    rank: Count = 2
    reply: Literal["all_reduce"] | Reply = "all_reduce"
    needs_feedback: ClassVar[bool] = True
    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="PowerSGD",
        formula="P = orth(mean M_k Q), Q ← mean M_kᵀ P; P Qᵀ arrives, of each weight matrix",
        references=("vogels2019",),
    )

    def __post_init__(self) -> None:
        if self.reply != "all_reduce":
            raise ValueError(
                f'reply: "{self.reply}" is for messages that are packed; the factors of PowerSGD are averaged by '
                "all-reduces, so nothing comes back; remove reply"
            )

    def message_sizes(self, layout: Layout) -> tuple[int, ...]:
        matrices = list(self._matrices(layout))
        plain = sum(layer.stop - layer.start for layer in layout) - sum(rows * columns for _, rows, columns in matrices)
        first = sum(rows * self.rank for _, rows, _ in matrices) + plain
        second = sum(columns * self.rank for _, _, columns in matrices)
        return (4 * first, 4 * second) if matrices else (4 * first,)

    def init(self, layout: Layout, draw_key: Tensor) -> tuple[Tensor, ...]:
        """Uniform numbers in [-1, 1): the first Q of each matrix, shape [m, r]."""
        lengths = [columns for _, _, columns in self._matrices(layout)]
        counter = torch.arange(sum(lengths) * self.rank, device=draw_key.device)
        return self._factors((derive_key(draw_key, counter) / 2**31 - 1).float(), lengths)

    def average(
        self, m_KD: Tensor, layout: Layout, state: tuple[Tensor, ...], mean: Callable[[Tensor], Tensor]
    ) -> LinearMean:
        matrices = list(self._matrices(layout))
        if not matrices:
            return LinearMean(mean(m_KD), m_KD, state)
        is_plain_D = torch.ones(m_KD.shape[1], dtype=torch.bool, device=m_KD.device)
        for at, _, _ in matrices:
            is_plain_D[at] = False
        # products of one matrix at a time, so that a worker's bits do not depend on how many workers a process has
        views_K = [[aligned_copy(m_D[at].view(rows, columns)) for at, rows, columns in matrices] for m_D in m_KD]
        p_K = [[m @ q.to(m) for m, q in zip(views, state, strict=True)] for views in views_K]
        plain_KN = m_KD[:, is_plain_D]
        first_N = mean(torch.cat([torch.stack([_flat(parts) for parts in p_K]), plain_KN], 1))
        p_N, plain_N = first_N.split([first_N.shape[0] - plain_KN.shape[1], plain_KN.shape[1]])
        bases = [torch.linalg.qr(p).Q for p in self._factors(p_N, [rows for _, rows, _ in matrices])]
        q_K = [[m.T @ p for m, p in zip(views, bases, strict=True)] for views in views_K]
        q_N = mean(torch.stack([_flat(parts) for parts in q_K]))
        next_state = self._factors(q_N, [columns for _, _, columns in matrices])
        mean_D, sent_KD = torch.empty_like(m_KD[0]), m_KD.clone()
        mean_D[is_plain_D] = plain_N
        for (at, _, _), p, q in zip(matrices, bases, next_state, strict=True):
            mean_D[at] = (p @ q.T).flatten()
            sent_KD[:, at] = mean_D[at]
        return LinearMean(mean_D, sent_KD, next_state)

    def _matrices(self, layout: Layout) -> Iterator[tuple[slice, int, int]]:
        """Where the compressed matrices lie in a row, with their rows and columns."""
        for layer in layout:
            # a scalar has one row; a vector has one column, and is never made smaller
            rows, columns = prod(layer.shape[:1]), prod(layer.shape[1:])
            if self.rank * (rows + columns) < rows * columns:
                yield slice(layer.start, layer.stop), rows, columns

    def _factors(self, x_N: Tensor, lengths: list[int]) -> tuple[Tensor, ...]:
        """Cut a row into matrices of these lengths and of `rank` columns."""
        parts = x_N.split([length * self.rank for length in lengths])
        return tuple(aligned_copy(part.view(-1, self.rank)) for part in parts)


def _flat(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.flatten() for part in parts])
