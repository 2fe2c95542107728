"""Sums over the row of a worker depend on its numbers only, not on memory addresses or on other rows."""

import os
import subprocess
import sys

import pytest
import torch

from fdabench.core import row_sums as rows
from fdabench.core.row_sums import row_dots, row_squared_norms
from support.scripts import row_placement
from support.scripts.row_placement import SIZES, differing_means, differing_rows, random_rows

PATHS = [
    {"MKL_CBWR": "COMPATIBLE"},
    {"MKL_CBWR": "AVX2"},
    {"MKL_CBWR": "AVX512"},
    {"ATEN_CPU_CAPABILITY": "default"},
    {"ATEN_CPU_CAPABILITY": "avx2"},
    {"ATEN_CPU_CAPABILITY": "avx512"},
    {"OMP_NUM_THREADS": "2"},
]
"""Which instructions MKL and ATen take, and how many threads; what a processor lacks, they replace by less."""


@pytest.mark.parametrize("size", SIZES)
def test_a_rows_sums_do_not_depend_on_its_address_or_on_other_rows(size: int) -> None:
    assert differing_rows(size) == []


@pytest.mark.parametrize("size", SIZES)
def test_a_mean_does_not_depend_on_addresses(size: int) -> None:
    assert differing_means(size) == []


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=str)
def test_sums_and_means_are_equal_on_every_instruction_path(path: dict[str, str]) -> None:
    names = {name for item in PATHS for name in item}
    arguments = {key: value for key, value in os.environ.items() if key not in names} | {"OMP_NUM_THREADS": "1"} | path
    command = [sys.executable, row_placement.__file__]
    done = subprocess.run(command, capture_output=True, text=True, env=arguments, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_no_sum_over_a_row_calls_a_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    """A BLAS may begin at the first aligned number: MKL does on some processors, where no test here would see it."""

    def refuse(*arguments: object) -> None:
        raise AssertionError("a BLAS sums in an order of its own")

    for name in ("dot", "vdot", "matmul", "__matmul__", "mv", "mm"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    for name in ("vecdot", "matmul"):
        monkeypatch.setattr(torch.linalg, name, refuse)
    u_KD, v_D, _ = random_rows(37)
    assert row_dots(u_KD, v_D).shape == row_squared_norms(u_KD).shape == (9,)


@pytest.mark.parametrize("size", [0, 1, rows.BLOCK - 1, rows.BLOCK, rows.BLOCK + 1, 3 * rows.BLOCK])
def test_inner_products_are_those_of_float64(size: int) -> None:
    """Each product and each partial sum rounds; the sum of blocks is a tree, so 64 roundings are generous."""
    u_KD, v_D = torch.randn(3, size), torch.randn(size)
    exact = (u_KD.double() * v_D.double()).sum(1)
    allowed = 64 * 2**-24 * (u_KD.double() * v_D.double()).abs().sum(1)
    assert (row_dots(u_KD, v_D).double() - exact).abs().le(allowed).all()


def test_nan_and_infinity_are_not_lost_in_sums() -> None:
    u_KD = torch.tensor([[1.0, float("nan")], [float("inf"), 1.0], [1.0, 2.0]])
    first, second, third = row_dots(u_KD, torch.ones(2)).tolist()
    assert first != first
    assert (second, third) == (float("inf"), 3.0)
