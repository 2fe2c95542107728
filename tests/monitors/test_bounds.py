"""Var = exact <= linear <= naive, for every drift."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from fdabench.core.strategy import Round
from fdabench.monitors import MONITORS
from fdabench.monitors.exact import Exact
from fdabench.monitors.linear import Linear
from fdabench.monitors.naive import Naive

# below 1e-12 squares would leave what float32 resolves, and no relative tolerance would make sense
number = st.floats(-1e3, 1e3, width=32).map(lambda x: x if abs(x) > 1e-12 else 0.0)


@st.composite
def drifts(draw: st.DrawFn) -> tuple[Tensor, Round]:
    """Drifts of up to six workers, and a round with any last global step or none."""
    K, D = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    rows = [torch.from_numpy(draw(arrays(np.float32, shape, elements=number))) for shape in ((K, D), (D,), (D,))]
    return rows[0], Round(rows[1], rows[2], ())


def estimate(monitor: object, u_KD: Tensor, r: Round) -> float:
    return float(monitor.variance_bound(monitor.local_state(u_KD, r).mean(0)))


def tolerance(u_KD: Tensor) -> float:
    """Each |u|^2, inner product and mean is a sum of at most K + D terms, rounded relative to mean |u|^2.

    A factor of 8 covers the two sums, the unit vector and the subtraction.
    """
    return 8 * sum(u_KD.shape) * 2**-24 * float(u_KD.double().square().sum(1).mean())


@given(drifts())
def test_the_bounds_are_ordered_exact_linear_naive(samples: tuple[Tensor, Round]) -> None:
    u_KD, r = samples
    u64_KD = u_KD.double()
    variance = float((u64_KD - u64_KD.mean(0)).square().sum(1).mean())
    exact, linear, naive = (estimate(monitor, u_KD, r) for monitor in (Exact(), Linear(), Naive()))
    off = tolerance(u_KD)
    assert abs(exact - variance) <= off
    assert exact <= linear + off
    assert linear <= naive + off


def test_each_bound_equals_the_formula_of_the_paper() -> None:
    """u = (3, 4), (1, 0): mean |u|^2 = 13, mean u = (2, 2), xi = (1, 0)."""
    u_KD, r = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), Round(torch.tensor([5.0, 1.0]), torch.tensor([4.0, 1.0]), ())
    assert estimate(Naive(), u_KD, r) == 13
    assert estimate(Linear(), u_KD, r) == 13 - 4
    assert estimate(Exact(), u_KD, r) == 13 - 8


def test_linear_is_exact_when_the_drift_keeps_its_direction() -> None:
    anchor_D, previous_anchor_D = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 2.0, 1.0])
    u_KD = torch.stack([2 * (anchor_D - previous_anchor_D), 4 * (anchor_D - previous_anchor_D)])
    r = Round(anchor_D, previous_anchor_D, ())
    assert estimate(Linear(), u_KD, r) == pytest.approx(estimate(Exact(), u_KD, r), abs=tolerance(u_KD))


@given(drifts())
def test_xi_is_the_normalized_last_global_step(samples: tuple[Tensor, Round]) -> None:
    _, r = samples
    xi_D = r.direction_D
    assert float(xi_D.double().norm()) == pytest.approx(1, abs=1e-6)
    step_D = (r.anchor_D - r.previous_anchor_D).double()
    if step_D.any():
        assert torch.allclose(xi_D.double(), step_D / step_D.norm(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [1e-15, 1e-25, 1e-38, 1e18, 1e30])
def test_xi_is_a_unit_vector_for_any_length_of_the_step(size: float) -> None:
    """One weight that moved by next to nothing is enough to make the last global step the direction."""
    moved_D = torch.zeros(5)
    moved_D[2], moved_D[3] = -size, size
    xi_D = Round(moved_D, torch.zeros(5), ()).direction_D
    assert xi_D.tolist() == pytest.approx([0, 0, -(0.5**0.5), 0.5**0.5, 0], abs=1e-6)


def test_xi_is_a_fixed_unit_vector_before_the_first_global_step() -> None:
    torch.manual_seed(1)
    one_D, other_D = torch.zeros(20), torch.ones(20)
    first = Round(one_D, one_D, ()).direction_D
    torch.manual_seed(2)
    second = Round(other_D, other_D, (), 5).direction_D
    assert torch.equal(first, second)
    assert float(first.norm()) == pytest.approx(1, abs=1e-6)
    assert first.count_nonzero() == 20


SIZES = {"naive": lambda d: 4, "linear": lambda d: 8, "sketch": lambda d: 5004, "exact": lambda d: 4 * (d + 1)}
"""Bytes of a local state."""


@pytest.mark.parametrize("name", MONITORS)
@pytest.mark.parametrize("D", [1, 7, 1000])
def test_a_local_state_has_the_expected_size(name: str, D: int) -> None:
    monitor = MONITORS[name]()
    s_KS = monitor.local_state(torch.ones(3, D), Round(torch.ones(D), torch.zeros(D), ()))
    assert s_KS.shape == (3, monitor.state_size(D))
    assert s_KS[0].numel() * s_KS.element_size() == SIZES[name](D)


@pytest.mark.parametrize("name", MONITORS)
@given(cuts=st.lists(st.booleans(), min_size=8, max_size=8))
def test_a_workers_state_does_not_depend_on_the_other_workers(name: str, cuts: list[bool]) -> None:
    """Nine workers, shared out over processes in any way: bitwise the same rows."""
    generator = torch.Generator().manual_seed(3)
    u_KD = torch.randn(9, 203, generator=generator)
    r = Round(torch.randn(203, generator=generator), torch.randn(203, generator=generator), ())
    borders = [0, *(k + 1 for k, cut in enumerate(cuts) if cut), 9]
    monitor = MONITORS[name]()
    parts = [monitor.local_state(u_KD[a:b].clone(), r) for a, b in pairwise(borders)]
    assert torch.equal(torch.cat(parts), monitor.local_state(u_KD, r))
