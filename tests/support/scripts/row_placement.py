"""Copies of the same rows at other addresses and beside other rows, and the sums over a row, which must be equal.

As a script it prints the names of the sums that differ. Environment variables choose the instructions that the
processor uses (`python -m support.scripts.row_placement` with `tests` on the import path).
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from fdabench.core.collective import InProcessCollective
from fdabench.core.row_sums import row_dots, row_squared_norms
from fdabench.core.strategy import Round
from fdabench.monitors import MONITORS

SIZES = (37, 200, 4_097, 51_466, 61_706, 150_000)
OFFSETS = range(16)
"""In floats: every address that a float can have within a cache line."""
MAX_ROWS = 9

Sum = Callable[[Tensor], Tensor]
"""A function of rows, [K, D] -> [K, ...]: row k of the result depends on row k only."""


def placed(x: Tensor, offset: int) -> Tensor:
    """A contiguous copy that starts `offset` floats after the start of a cache line."""
    memory = torch.empty(x.numel() + 32)
    start = (-memory.data_ptr() // 4) % 16 + offset
    copy = memory[start : start + x.numel()].view(x.shape)
    assert copy.data_ptr() % 64 == 4 * offset
    return copy.copy_(x)


def random_rows(size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Nine rows and two vectors of this size, from a fixed seed."""
    generator = torch.Generator().manual_seed(size)
    return tuple(torch.randn(*shape, generator=generator) for shape in ((MAX_ROWS, size), (size,), (size,)))  # type: ignore[return-value]


def sums(v_D: Tensor, w_D: Tensor) -> dict[str, Sum]:
    r = Round(v_D, w_D, ())
    actual: dict[str, Sum] = {"squared_norms": row_squared_norms, "dots": lambda u_KD: row_dots(u_KD, v_D)}
    return actual | {name: partial(made().local_state, r=r) for name, made in MONITORS.items()}


def copies(u_KD: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Some rows and a copy of them: at all offsets, with fewer other rows, with gaps, column by column."""
    for offset in OFFSETS:
        yield slice(0, 2), placed(u_KD[:2], offset)
    for count in range(1, MAX_ROWS + 1):
        yield slice(MAX_ROWS - count, MAX_ROWS), placed(u_KD[MAX_ROWS - count :], 5)
    yield slice(0, MAX_ROWS), torch.nn.functional.pad(u_KD, (3, 4))[:, 3:-4]
    yield slice(0, MAX_ROWS), u_KD.repeat_interleave(2, 0)[::2]
    yield slice(0, MAX_ROWS), u_KD.T.contiguous().T


def differing_rows(size: int) -> list[str]:
    """Names of the sums that have different bits for a copy of the rows."""
    u_KD, v_D, w_D = random_rows(size)
    actual = []
    for name, total in sums(v_D, w_D).items():
        whole = total(u_KD)
        if not all(torch.equal(total(copy), whole[rows]) for rows, copy in copies(u_KD)):
            actual.append(f"{name} at {size}")
    return actual


def differing_means(size: int) -> list[str]:
    """Numbers of workers whose mean has different bits for a copy of the rows."""
    u_KD, *_ = random_rows(size)
    actual = []
    for count in range(1, MAX_ROWS + 1):
        mean = InProcessCollective(torch.full((count,), 1 / count)).mean
        here = mean(u_KD[:count].clone())
        copied = [placed(u_KD[:count], offset) for offset in OFFSETS]
        copied += [torch.nn.functional.pad(u_KD[:count], (3, 4))[:, 3:-4], u_KD[:count].T.contiguous().T]
        equal_rows = u_KD[:1].expand(count, -1)
        same = torch.equal(mean(equal_rows), mean(equal_rows.clone(memory_format=torch.contiguous_format)))
        if not same or not all(torch.equal(mean(copy), here) for copy in copied):
            actual.append(f"mean of {count} at {size}")
    return actual


if __name__ == "__main__":
    print([name for size in SIZES for name in (*differing_rows(size), *differing_means(size))])
