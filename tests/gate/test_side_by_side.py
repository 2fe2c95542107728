"""Comparison of two results folders: the mean over all cells, whose runs have common seeds."""

import math

import numpy as np
import pytest

from fdabench.gate.compare.samples import MetricLosses
from fdabench.gate.compare.side_by_side import all_cells


def sample(losses: list[float], seeds: tuple[int, ...]) -> MetricLosses:
    return MetricLosses("a", "accuracy", np.array(losses), 0.9, 0.9, seeds=seeds)


def test_cells_with_common_seeds_are_not_counted_as_independent() -> None:
    line = all_cells([sample([0.0, 0.2], (0, 1)), sample([0.1, 0.3], (0, 1))])
    assert line.change == pytest.approx(-0.15)
    assert line.interval is not None
    # two seeds, whose means over both cells are 0.05 and 0.25: one degree of freedom
    half = 12.7062047 * math.sqrt((0.1**2 + 0.1**2) / 2)
    assert line.interval == pytest.approx((-0.15 - half, -0.15 + half))
    assert line.verdict == "unclear"


def test_seeds_are_matched_by_their_number() -> None:
    """In the second cell they stand in the other order: they do the opposite, and four runs tell of two cells."""
    line = all_cells([sample([0.0, 0.2], (0, 1)), sample([0.1, 0.3], (1, 0))])
    assert line.interval is not None
    half = 4.3026527 * math.sqrt(0.04 / 2 * 4 / 16)
    assert line.interval == pytest.approx((-0.15 - half, -0.15 + half))


def test_one_seed_has_no_interval() -> None:
    line = all_cells([sample([0.1], (0,)), sample([0.3], (0,))])
    assert (line.interval, line.verdict) == (None, "unclear")


@pytest.mark.slow
@pytest.mark.parametrize(("shared", "own"), [(0.05, 0.03), (0.05, 0.0), (0.0, 0.05)])
@pytest.mark.parametrize(("cells", "seeds"), [(6, 3), (3, 5), (10, 3)])
def test_the_interval_over_all_cells_has_its_nominal_coverage(
    cells: int, seeds: int, shared: float, own: float
) -> None:
    """4,000 draws: a standard error of 0.35 points of 95 %."""
    rng = np.random.default_rng([cells, seeds])
    stored = []
    for _ in range(4000):
        losses = rng.normal(0, own, (cells, seeds)) + rng.normal(0, shared, seeds)
        line = all_cells([sample(list(item), tuple(range(seeds))) for item in losses])
        assert line.interval is not None
        stored.append(line.interval[0] <= 0 <= line.interval[1])
    assert np.mean(stored) >= 0.935
