"""Complete runs against other packages: two processes of the package, and one of fdabench with two workers."""

from fractions import Fraction
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from fdabench.core.channel import Channel
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.strategy import Strategy
from fdabench.engine.arrays import LabeledData
from fdabench.engine.loop import CellLoop, StepEvent, train_loop
from fdabench.optimizers.sgd import SGD
from fdabench.strategies.fedavg import FedAvg
from fdabench.strategies.presets.diloco import DiLoCo
from fdabench.strategies.streaming_diloco import StreamingDiLoCo
from support.launch import launch
from support.rank_tasks import LEARNING_RATE, other_packages, wide_model
from support.toy import data, equal_shares, model, sampler, sequential_workers

pytestmark = pytest.mark.slow
PERIOD, STEPS = 4, 17
BOUND = 1e-11
"""In float64: 17 steps of sums of 200 terms, each of which may grow what is there by 1.4. A sync too many is 1e-2."""


def history(strategy: Strategy, net: torch.nn.Module) -> Tensor:
    """The models of both workers after each step and its sync, shape [steps, 2, D]."""
    x, y = data()
    workers = sequential_workers(
        net, SGD(lr=LEARNING_RATE), [sampler(k, 2) for k in range(2)], LabeledData(x.double(), y), STEPS
    )
    channel = Channel(InProcessCollective(equal_shares(2, torch.float64)), Ledger())
    actual = []

    def record(event: StepEvent) -> bool:
        actual.append((event.outcome.w_KD if event.outcome.synced else event.context.w_KD).clone())
        return True

    train_loop(workers, [CellLoop(strategy, channel, STEPS, record)])
    return torch.stack(actual)


@pytest.fixture(scope="module")
def expected_result() -> list[dict[str, Tensor]]:
    """For each of two ranks, the models after each step, by package."""
    installed = [name for name in ("torchft", "accelerate") if find_spec(name)]
    return launch(other_packages, 2, PERIOD, STEPS, installed)


def assert_equal(
    strategy: Strategy, net: torch.nn.Module, expected_result: list[dict[str, Tensor]], package: str
) -> None:
    if package not in expected_result[0]:
        pytest.skip(f"pip install {package.split()[0]}")
    ours_TKD = history(strategy, net)
    assert (ours_TKD - torch.stack([rank[package] for rank in expected_result], 1)).abs().max() < BOUND
    assert (ours_TKD[-1] - ours_TKD[0]).abs().max() > 0.05


@pytest.mark.parametrize("package", ["torch", "accelerate"])
def test_fedavg_equals_local_sgd_of_other_packages(package: str, expected_result: list[dict[str, Tensor]]) -> None:
    """Ours and accelerate's LocalSGD synchronize after 4, 8, 12, 16 steps; torch's averager after a warm-up of 3."""
    assert_equal(FedAvg(Fraction(PERIOD)), model(torch.float64), expected_result, package)


@pytest.mark.parametrize("fragments", [1, 2])
def test_diloco_equals_that_of_torchft(fragments: int, expected_result: list[dict[str, Tensor]]) -> None:
    """Also as Streaming DiLoCo of two fragments, whose layers are of equal length. A stub replaces the manager."""
    strategy = DiLoCo(Fraction(PERIOD)) if fragments == 1 else StreamingDiLoCo(Fraction(PERIOD), 2)
    assert_equal(strategy, wide_model(), expected_result, f"torchft {fragments}")
