"""Results that reports read, without training."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fdabench.results.load import Results
from support.digits_results import FULL, SIX, Strategy, Suite, write, write_by_hand


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Six strategies, two workloads, three seeds; misses, a divergence, a failure and a cell not run."""
    return write(tmp_path_factory.mktemp("results") / "full", FULL)


@pytest.fixture(scope="session")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A suite with a lock file and no cell that has run."""
    states = {(strategy.label, seed): "pending" for strategy in SIX for seed in (0, 1, 2)}
    return write(tmp_path_factory.mktemp("results") / "nothing", Suite(SIX, states=states))


@pytest.fixture
def results_of(tmp_path: Path) -> Callable[..., Results]:
    """Results of the six strategies with some of the suite's entries changed."""

    def build(strategies: Sequence[Strategy] = SIX, **changes: Any) -> Results:
        return write(tmp_path / "pretended", Suite(strategies, **changes))

    return build


@pytest.fixture
def one_cell(results_of: Callable[..., Results]) -> Results:
    """One strategy with one seed."""
    return results_of(strategies=SIX[-1:], seeds=(0,))


@pytest.fixture
def hand_made(tmp_path: Path) -> Results:
    """Two strategies, two seeds, a model of ten numbers on two workers; see `write_by_hand`."""
    return write_by_hand(tmp_path / "hand")
