"""Running statistics of batch normalization at a sync are local to their worker, or averaged and counted."""

from typing import Any

import pytest
import torch
from torch import nn

from fdabench.core.channel import Channel
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.engine.arrays import LabeledData
from fdabench.engine.gradients.selection import ENGINES
from fdabench.engine.workers import BatchStatistics, TrainingConfig, WorkerGroup, Workers
from fdabench.optimizers.sgd import SGD
from support.toy import sampler

K, CHANNELS, CLASSES = 3, 5, 3
EXAMPLES = LabeledData(
    torch.randn(240, 2, 6, 6, generator=torch.Generator().manual_seed(1)), torch.arange(240) % CLASSES
)


def net(norm: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, CHANNELS, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(16 * CHANNELS, CLASSES))


def synced(engine: str, norm: nn.Module, policy: BatchStatistics) -> tuple[Any, Workers, Channel]:
    """Five steps and a sync: the statistics before it, the workers after it, and what was sent."""
    model = net(norm)
    crew = WorkerGroup(model, [sampler(k, K) for k in range(K)], list(range(K)))
    workers = Workers(TrainingConfig(model, SGD(lr=0.05), EXAMPLES, ENGINES[engine], batchnorm_stats=policy), [crew])
    for _ in range(5):
        workers.step()
    before_KB = workers.statistics().clone()
    channel = Channel(InProcessCollective(torch.full((K,), 1 / K)), Ledger(step=5))
    w_D = channel.mean(workers.weights(), "model")
    workers.load_synced_models(0, w_D.expand(K, -1), channel, 1)
    return before_KB, workers, channel


@pytest.mark.parametrize("engine", ENGINES)
def test_statistics_are_local_to_their_worker_by_default(engine: str) -> None:
    before_KB, workers, channel = synced(engine, nn.BatchNorm2d(CHANNELS), "local")
    assert torch.equal(workers.statistics(), before_KB)
    assert not torch.equal(before_KB[0], before_KB[1])
    assert [entry.kind for entry in channel.ledger.entries] == ["model"]


@pytest.mark.parametrize("engine", ENGINES)
def test_averaged_statistics_are_equal_on_all_workers_and_are_counted(engine: str) -> None:
    before_KB, workers, channel = synced(engine, nn.BatchNorm2d(CHANNELS), "averaged")
    assert torch.allclose(workers.statistics(), before_KB.mean(0).expand(K, -1))
    assert torch.equal(workers.statistics()[0], workers.statistics()[2])
    sent = [(entry.kind, entry.elements, entry.payload_bytes) for entry in channel.ledger.entries]
    assert sent[1:] == [("statistics", 2 * CHANNELS, 8 * CHANNELS)]
    workers.step()
    assert not torch.equal(workers.statistics()[0], workers.statistics()[1])


def test_a_model_without_statistics_sends_nothing_for_them() -> None:
    _, workers, channel = synced("sequential", nn.Identity(), "averaged")
    assert workers.statistics().shape == (K, 0)
    assert [entry.kind for entry in channel.ledger.entries] == ["model"]
