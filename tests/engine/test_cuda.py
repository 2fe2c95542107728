"""The engines on a CUDA device: equal to each other, to runs without a CUDA graph, and to uninterrupted runs."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fdabench.core.count_sketch import count_sketches
from fdabench.engine.arrays import BatchMetrics, LabeledData
from fdabench.engine.gradients import vectorized as vectorized
from fdabench.engine.gradients.selection import ENGINES
from fdabench.engine.workers import TrainingConfig, WorkerGroup, Workers
from fdabench.models.dropout import Dropout
from fdabench.optimizers.adam import Adam
from support.toy import sampler

pytestmark = pytest.mark.cuda

CLASSES, WORKERS, STEPS = 3, 4, 8


def smooth() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 5, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), Dropout(0.2), nn.Linear(45, CLASSES)
    )


def pooled() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, CLASSES)
    )


def normalized() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, bias=False), nn.BatchNorm2d(5), nn.Tanh(), nn.Flatten(), nn.Linear(180, CLASSES)
    )


class Uncapturable(nn.Linear):
    """Copies a number from the CPU at each step, which a capture forbids."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * torch.tensor(2.0).to(x.device)


def uncapturable() -> nn.Module:
    return nn.Sequential(nn.Flatten(), Uncapturable(128, CLASSES))


MODELS = {"smooth": smooth, "pooled": pooled, "normalized": normalized, "uncapturable": uncapturable}
every_model = pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)


def workers(engine: str, build: Callable[[], nn.Module], stored: range = range(WORKERS), crews: int = 1) -> Workers:
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(240, 2, 8, 8, generator=generator), torch.arange(240) % CLASSES
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = build().cuda()
    training = TrainingConfig(net, Adam(lr=0.01), LabeledData(x.cuda(), y.cuda()), ENGINES[engine])
    crew = [WorkerGroup(net, [sampler(k, WORKERS) for k in stored], [100 + k for k in stored]) for _ in range(crews)]
    return Workers(training, crew)


def copied(losses: BatchMetrics) -> tuple[Tensor, Tensor]:
    """Copy the results of a step, because the next replay overwrites them."""
    return losses.loss_K.clone(), losses.accuracy_K.clone()


def steps(crew: Workers, count: int = STEPS) -> list[tuple[Tensor, Tensor]]:
    return [copied(crew.step()) for _ in range(count)]


def equal(one: Workers, other: Workers) -> bool:
    return torch.equal(one.weights(), other.weights()) and torch.equal(one.statistics(), other.statistics())


@every_model
def test_both_engines_take_equal_steps_up_to_rounding(build: Callable[[], nn.Module]) -> None:
    one, other = workers("sequential", build), workers("vectorized", build)
    for (loss_K, _), (same_K, _) in zip(steps(one), steps(other), strict=True):
        assert torch.allclose(loss_K, same_K, rtol=1e-3, atol=1e-4)
    assert torch.allclose(one.statistics(), other.statistics(), rtol=1e-3, atol=1e-4)


@every_model
def test_a_graph_changes_no_bit(build: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    graphed = workers("vectorized", build)
    visited = steps(graphed)
    (captured,) = (item._graph is not None for item in graphed._gradients._graphs.values())  # type: ignore[attr-defined]
    assert captured == (build is not uncapturable)
    monkeypatch.setattr(vectorized, "GraphedFunction", lambda function, device: on(function, device))
    eager = workers("vectorized", build)
    for (loss_K, accuracy_K), (same_K, right_K) in zip(visited, steps(eager), strict=True):
        assert torch.equal(loss_K, same_K)
        assert torch.equal(accuracy_K, right_K)
    assert equal(graphed, eager)


def on(function: Callable[..., BatchMetrics], device: torch.device) -> Callable[..., BatchMetrics]:
    return lambda *inputs: function(*(item.to(device) for item in inputs))


@every_model
@pytest.mark.parametrize("engine", ENGINES)
def test_two_runs_of_the_same_steps_have_the_same_bits(engine: str, build: Callable[[], nn.Module]) -> None:
    one, other = workers(engine, build), workers(engine, build)
    steps(one)
    steps(other)
    assert equal(one, other)


@every_model
def test_groups_of_workers_in_one_matrix_equal_separate_groups_up_to_rounding(build: Callable[[], nn.Module]) -> None:
    together, alone = workers("vectorized", build, crews=3), workers("vectorized", build)
    for (loss_K, _), (same_K, _) in zip(steps(together), steps(alone), strict=True):
        assert torch.allclose(loss_K.view(3, -1), same_K.expand(3, -1), rtol=1e-3, atol=1e-4)


@every_model
def test_resuming_from_a_state_changes_no_bit(build: Callable[[], nn.Module]) -> None:
    one, other = workers("vectorized", build), workers("vectorized", build)
    steps(one)
    state: Any = deepcopy(one.state_dict(0, {}))
    steps(one)
    other.load_state_dict(0, state, STEPS)
    steps(other)
    assert equal(one, other)


def test_the_remaining_groups_of_a_matrix_continue_with_a_new_graph() -> None:
    together, alone = workers("vectorized", smooth, crews=3), workers("vectorized", smooth)
    steps(together)
    together.retain_groups([1])
    steps(together)
    steps(alone, 2 * STEPS)
    assert torch.allclose(together.weights(), alone.weights(), rtol=1e-2, atol=1e-3)


def test_sketches_of_a_gpu_equal_those_of_a_cpu_up_to_rounding() -> None:
    u_KD = torch.randn(3, 70_001, generator=torch.Generator().manual_seed(5))
    actual = count_sketches(u_KD.cuda(), 5, 250, 7)
    assert torch.allclose(actual.cpu(), count_sketches(u_KD, 5, 250, 7), rtol=1e-4, atol=1e-3)
    assert torch.equal(actual, count_sketches(u_KD.cuda(), 5, 250, 7))
