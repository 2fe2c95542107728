"""The same rows at other places of memory and in other company, and the sums over them that must not tell.

As a script it prints the names of the sums that do; the processor's path is chosen by its environment.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from fdabench.core.collective import Stacked
from fdabench.core.rows import dots, squared_norms
from fdabench.core.strategy import Round
from fdabench.monitors import MONITORS

SIZES = (37, 200, 4_097, 51_466, 61_706, 150_000)
OFFSETS = range(16)
"""In floats: every place that a float can have in a line of the cache."""
MOST = 9

Sum = Callable[[Tensor], Tensor]
"""Of rows, [K, D] -> [K, ...]: row k of the result belongs to row k."""


def placed(x: Tensor, offset: int) -> Tensor:
    """A contiguous copy that begins `offset` floats after the start of a line of the cache."""
    memory = torch.empty(x.numel() + 32)
    start = (-memory.data_ptr() // 4) % 16 + offset
    copy = memory[start : start + x.numel()].view(x.shape)
    assert copy.data_ptr() % 64 == 4 * offset
    return copy.copy_(x)


def drawn(size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Nine rows and two vectors."""
    generator = torch.Generator().manual_seed(size)
    return tuple(torch.randn(*shape, generator=generator) for shape in ((MOST, size), (size,), (size,)))  # type: ignore[return-value]


def sums(v_D: Tensor, w_D: Tensor) -> dict[str, Sum]:
    r = Round(v_D, w_D, ())
    found: dict[str, Sum] = {"squared_norms": squared_norms, "dots": lambda u_KD: dots(u_KD, v_D)}
    return found | {name: partial(made().state, r=r) for name, made in MONITORS.items()}


def elsewhere(u_KD: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Which rows, and a copy of them: at all offsets, in all companies, with gaps, by column."""
    for offset in OFFSETS:
        yield slice(0, 2), placed(u_KD[:2], offset)
    for count in range(1, MOST + 1):
        yield slice(MOST - count, MOST), placed(u_KD[MOST - count :], 5)
    yield slice(0, MOST), torch.nn.functional.pad(u_KD, (3, 4))[:, 3:-4]
    yield slice(0, MOST), u_KD.repeat_interleave(2, 0)[::2]
    yield slice(0, MOST), u_KD.T.contiguous().T


def differing_rows(size: int) -> list[str]:
    """Sums of which a row has other bits elsewhere."""
    u_KD, v_D, w_D = drawn(size)
    found = []
    for name, total in sums(v_D, w_D).items():
        whole = total(u_KD)
        if not all(torch.equal(total(copy), whole[rows]) for rows, copy in elsewhere(u_KD)):
            found.append(f"{name} at {size}")
    return found


def differing_means(size: int) -> list[str]:
    """Numbers of workers whose mean has other bits elsewhere."""
    u_KD, *_ = drawn(size)
    found = []
    for count in range(1, MOST + 1):
        mean = Stacked(torch.full((count,), 1 / count)).mean
        here = mean(u_KD[:count].clone())
        copies = [placed(u_KD[:count], offset) for offset in OFFSETS]
        copies += [torch.nn.functional.pad(u_KD[:count], (3, 4))[:, 3:-4], u_KD[:count].T.contiguous().T]
        alike = u_KD[:1].expand(count, -1)
        same = torch.equal(mean(alike), mean(alike.clone(memory_format=torch.contiguous_format)))
        if not same or not all(torch.equal(mean(copy), here) for copy in copies):
            found.append(f"mean of {count} at {size}")
    return found


if __name__ == "__main__":
    print([name for size in SIZES for name in (*differing_rows(size), *differing_means(size))])
