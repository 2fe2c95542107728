"""The sketch is linear, and its rows are as good as theory says, for vectors of every kind."""

from math import sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fdabench.core.strategy import Round
from fdabench.monitors.sketch import Sketch

D, SEEDS = 3000, 400
ROWS = 5 * SEEDS
NOWHERE = Round(torch.zeros(D), torch.zeros(D), ())


def vectors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    one_hot, layer = torch.zeros(D), torch.zeros(D)
    one_hot[1234] = 3.0
    layer[500:650] = torch.randn(150, generator=generator)
    return {
        "Gaussian": torch.randn(D, generator=generator),
        "one-hot": one_hot,
        "constant": torch.full((D,), 0.25),
        "periodic": torch.sin(torch.arange(D) * 2 * torch.pi / 250),
        "single layer": layer,
    }


VECTORS = vectors()


@pytest.fixture(scope="module")
def rows() -> dict[str, Tensor]:
    """For each vector, the estimates of |v|^2 by all rows of all sketches, relative to it: [seed, row]."""
    v_KD = torch.stack(list(VECTORS.values()))
    found = torch.stack([Sketch(seed=seed).state(v_KD, NOWHERE) for seed in range(SEEDS)])
    squared = found[:, :, 1:].view(SEEDS, len(v_KD), 5, 250).square().sum(3) / found[:, :, :1]
    return dict(zip(VECTORS, squared.double().unbind(1), strict=True))


# The rows are independent. By the central limit theorem the mean of 2,000 of them is off by six standard errors once
# in 5e8 draws of the seeds, and so is their standard deviation by six of its own, 1 / sqrt(2 * 2,000) relative (the
# rows' kurtosis is that of chi-squared with 250 degrees of freedom, 3.05). Ten such checks: below 1e-7 in all.
SD = sqrt(2 / 250)
SIX_ERRORS_OF_THE_MEAN = 6 * SD / sqrt(ROWS)
SIX_ERRORS_OF_THE_SD = 6 / sqrt(2 * ROWS)


@pytest.mark.parametrize("name", VECTORS)
def test_a_row_is_unbiased(name: str, rows: dict[str, Tensor]) -> None:
    assert abs(rows[name].mean() - 1) < SIX_ERRORS_OF_THE_MEAN


@pytest.mark.parametrize("name", VECTORS)
def test_a_row_varies_no_more_than_theory_allows(name: str, rows: dict[str, Tensor]) -> None:
    assert rows[name].std() < SD * (1 + SIX_ERRORS_OF_THE_SD)


def test_a_single_number_is_sketched_without_error(rows: dict[str, Tensor]) -> None:
    assert rows["one-hot"].std() < 1e-6


@pytest.mark.parametrize("name", ["Gaussian", "constant", "periodic"])
def test_the_bound_fails_in_about_one_draw_in_eleven(name: str, rows: dict[str, Tensor]) -> None:
    """P(M2 > (1 + eps) |v|^2) = 0.088 for five rows of 250; six standard errors of 400 draws are 0.085."""
    median = rows[name].median(1).values
    assert abs((median > 1 + 1 / sqrt(250)).double().mean() - 0.088) < 0.085


@given(st.lists(st.integers(-50, 50), min_size=12, max_size=12), st.integers(-9, 9), st.integers(-9, 9))
def test_a_sketch_is_linear(numbers: list[int], a: int, b: int) -> None:
    """Whole numbers are summed without rounding, so this is an equality."""
    one, other = torch.tensor(numbers, dtype=torch.float32).view(2, 6)
    sketch, nowhere = Sketch(seed=4), Round(torch.zeros(6), torch.zeros(6), ())
    ones, others, both = sketch.state(torch.stack([one, other, a * one + b * other]), nowhere)[:, 1:]
    assert torch.equal(both, a * ones + b * others)


def test_the_mean_of_sketches_is_the_sketch_of_the_mean() -> None:
    """So H(S) = mean |u|^2 - M2(mean u) / (1 + eps)."""
    u_KD = torch.randn(4, D, generator=torch.Generator().manual_seed(6))
    sketch = Sketch(seed=1)
    s_S = sketch.state(u_KD, NOWHERE).mean(0)
    rows_squared = sketch.state(u_KD.mean(0)[None], NOWHERE)[0, 1:].view(5, 250).square().sum(1)
    middle = float(rows_squared.sort().values[2])
    expected = float(u_KD.square().sum(1).mean()) - middle / (1 + 1 / sqrt(250))
    assert float(sketch.bound(s_S)) == pytest.approx(expected, rel=1e-5)


def test_each_number_lies_in_one_bucket_of_each_row() -> None:
    table = Sketch(depth=3, width=7).state(torch.eye(40), Round(torch.zeros(40), torch.zeros(40), ()))[:, 1:]
    per_row = table.view(40, 3, 7)
    assert torch.equal(per_row.abs().sum(2), torch.ones(40, 3))
    assert set(per_row.unique().tolist()) == {-1.0, 0.0, 1.0}


def test_the_seed_decides_and_nothing_else() -> None:
    v_KD = VECTORS["Gaussian"][None]
    torch.manual_seed(1)
    first = Sketch(seed=1).state(v_KD, NOWHERE)
    torch.manual_seed(2)
    assert torch.equal(first, Sketch(seed=1).state(v_KD, NOWHERE))
    assert not torch.equal(first, Sketch(seed=2).state(v_KD, NOWHERE))


@pytest.mark.parametrize("depth", [2, 4, 250])
def test_an_even_depth_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match=f"depth: {depth} is even; the median of the rows needs an odd number"):
        Sketch(depth=depth)


# Narrow enough that 3,000 numbers are folded before they are sketched: 750 chunks into 300 places.
NARROW, DRAWS = 25, 2000
FOLDED_SD = sqrt(2 / NARROW + 2 / (12 * NARROW))
# chi-squared with 25 degrees of freedom has kurtosis 3.48; a sample's deviation is off by sqrt((kurtosis - 1) / 4 N)
SIX_ERRORS_OF_THE_FOLDED_SD = 6 * sqrt(2.48 / (4 * DRAWS))
COMB = (torch.arange(D) % 4 == 0).float()
"""The worst that folding can meet: all of it in the same place of each chunk."""
FOLDED = VECTORS | {"comb": COMB}


@pytest.fixture(scope="module")
def folded_rows() -> dict[str, Tensor]:
    """Estimates of |v|^2 relative to it, by one row of each of many independent sketches."""
    v_KD = torch.stack(list(FOLDED.values()))
    found = torch.stack([Sketch(1, NARROW, seed).state(v_KD, NOWHERE) for seed in range(DRAWS)])
    return dict(zip(FOLDED, (found[:, :, 1:].square().sum(2) / found[:, :, 0]).double().unbind(1), strict=True))


@pytest.mark.parametrize("name", FOLDED)
def test_a_row_of_a_folded_vector_keeps_the_guarantee(name: str, folded_rows: dict[str, Tensor]) -> None:
    assert abs(folded_rows[name].mean() - 1) < 6 * FOLDED_SD / sqrt(DRAWS)
    assert folded_rows[name].std() < FOLDED_SD * (1 + SIX_ERRORS_OF_THE_FOLDED_SD)


@pytest.mark.parametrize("left", range(4))
def test_folding_is_linear_and_loses_no_number(left: int) -> None:
    """Whole numbers: no rounding. One at a time, each of them comes out in one bucket, with its own size."""
    dim, sketch = 128 + left, Sketch(1, 1)
    state_KS = sketch.state(torch.arange(1.0, dim + 1).diag(), NOWHERE)
    assert state_KS[:, 1].abs().tolist() == [float(i) for i in range(1, dim + 1)]
    assert sketch.state(torch.arange(1.0, dim + 1)[None], NOWHERE)[0, 1] == state_KS[:, 1].sum()
