"""Checks whether sums give the same bits at all memory addresses; `planning.doctor` prints the result.

A row of a matrix may start anywhere in a cache line. Where the row of a worker starts depends on how workers are
distributed over processes. A BLAS that treats numbers before the first aligned address separately gives different bits
at different addresses, so results would depend on the number of processes.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from fdabench.core.collective import InProcessCollective
from fdabench.core.count_sketch import count_sketches
from fdabench.core.row_sums import row_dots, row_squared_norms

BATCH = 32
"""Samples of the batch in the check of linear layers."""
ONE_SAMPLE = "linear layers of one sample"
"""MKL computes them as a product of a matrix and a vector, whose bits depend on the address on AMD processors."""
ROWS, NUMBERS = 4, 4_097
"""Rows are longer than the vector loops of all libraries, and not a multiple of their lengths."""
OFFSETS = range(16)
"""All positions in a cache line of 64 bytes, in floats."""

Sum = Callable[[Tensor], Tensor]
"""A function of rows, shape [ROWS, NUMBERS]."""


def sums() -> Mapping[str, Sum]:
    """Return the sums that strategies and models compute over rows, by the name that `fdabench doctor` prints."""
    generator = torch.Generator().manual_seed(0)
    v_D = torch.randn(NUMBERS, generator=generator)
    batch_BD = torch.randn(BATCH, NUMBERS, generator=generator)
    return {
        "norms": row_squared_norms,
        "inner products": lambda x_KD: row_dots(x_KD, v_D),
        "sketches": lambda x_KD: count_sketches(x_KD, 3, 50, 0),
        "means": InProcessCollective(torch.full((ROWS,), 1 / ROWS)).mean,
        "linear layers": lambda x_KD: nn.functional.linear(batch_BD, x_KD),
        ONE_SAMPLE: lambda x_KD: nn.functional.linear(batch_BD[:1], x_KD),
    }


def at_offset(x_KD: Tensor, offset: int) -> Tensor:
    """Return a copy of `x_KD` whose first number is `offset` floats after the start of a cache line."""
    memory = torch.empty(x_KD.numel() + 2 * len(OFFSETS))
    begin = (-memory.data_ptr() // memory.element_size()) % len(OFFSETS) + offset
    return memory[begin : begin + x_KD.numel()].view(x_KD.shape).copy_(x_KD)


def differing_offsets(by_name: Mapping[str, Sum]) -> list[str]:
    """Return the names of the sums whose bits depend on the memory address. The check takes milliseconds.

    Args:
        by_name: the sums, as `sums` returns them.
    """
    x_KD = torch.randn(ROWS, NUMBERS, generator=torch.Generator().manual_seed(1))
    copies = [at_offset(x_KD, offset) for offset in OFFSETS]
    return [
        name
        for name, compute in by_name.items()
        if not all(torch.equal(compute(copy), compute(x_KD)) for copy in copies)
    ]
