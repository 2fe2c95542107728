"""Whole runs against other packages: two processes of theirs, and one of ours with two workers."""

from fractions import Fraction

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
from fdabench.strategies.diloco import DiLoCo
from fdabench.strategies.fedavg import FedAvg
from fdabench.strategies.streaming_diloco import StreamingDiLoCo
from support.launch import launch
from support.rank_tasks import LEARNING_RATE, accelerate_local_sgd, torch_averager, torchft_diloco, wide_model
from support.toy import data, equal_shares, model, sampler, sequential_workers

pytestmark = pytest.mark.slow
STEPS = 17
BOUND = 1e-11
"""In float64: 17 steps of sums of 200 terms, each of which may grow what is there by 1.4. A sync too many is 1e-2."""


def history(strategy: Strategy, net: torch.nn.Module) -> Tensor:
    """The models of both workers after each step and its sync, shape [steps, 2, D]."""
    x, y = data()
    workers = sequential_workers(
        net, SGD(lr=LEARNING_RATE), [sampler(k, 2) for k in range(2)], LabeledData(x.double(), y), STEPS
    )
    channel = Channel(InProcessCollective(equal_shares(2, torch.float64)), Ledger())
    found = []

    def record(event: StepEvent) -> bool:
        found.append((event.outcome.w_KD if event.outcome.synced else event.context.w_KD).clone())
        return True

    train_loop(workers, [CellLoop(strategy, channel, STEPS, record)])
    return torch.stack(found)


def assert_equal(strategy: Strategy, net: torch.nn.Module, theirs: list[Tensor], bound: float = BOUND) -> None:
    ours_TKD = history(strategy, net)
    assert (ours_TKD - torch.stack(theirs, 1)).abs().max() < bound
    assert (ours_TKD[-1] - ours_TKD[0]).abs().max() > 0.05


def test_fedavg_is_torchs_periodic_averager() -> None:
    """Ours synchronizes after 4, 8, 12, 16 steps; theirs too after a warm-up of 3 steps."""
    assert_equal(FedAvg(Fraction(4)), model(torch.float64), launch(torch_averager, 2, 4, STEPS))


def test_fedavg_is_accelerates_local_sgd() -> None:
    """Both synchronize after 4, 8, 12, 16 steps."""
    pytest.importorskip("accelerate", reason="pip install accelerate")
    assert_equal(FedAvg(Fraction(4)), model(torch.float64), launch(accelerate_local_sgd, 2, 4, STEPS))


@pytest.mark.parametrize("fragments", [1, 2])
def test_diloco_is_that_of_torchft(fragments: int) -> None:
    """Also as Streaming DiLoCo of two fragments, whose layers are of equal length. A stub replaces the manager."""
    pytest.importorskip("torchft.local_sgd", reason="pip install torchft", exc_type=ImportError)
    plain = DiLoCo(Fraction(4))
    strategy = plain if fragments == 1 else StreamingDiLoCo(Fraction(4), 2)
    assert_equal(strategy, wide_model(), launch(torchft_diloco, 2, 4, fragments, STEPS))
