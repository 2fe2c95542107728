"""What is timed: loops that do one kind of work for a while. The floor is a plain PyTorch loop, the rest is fdabench.

All on random images or tokens of the right shape, without evaluation, with SGD: what is timed is the work, not the
learning.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from fdabench.core.channel import Channel
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger
from fdabench.core.strategy import Round, StepContext, StepResult, Strategy
from fdabench.datasets.base import DatasetTensors
from fdabench.engine.arrays import LabeledData
from fdabench.engine.gradients.selection import ENGINES
from fdabench.engine.loop import CellLoop, train_loop
from fdabench.engine.precision import Precision
from fdabench.engine.sampling import Sampler, ShuffleSampler
from fdabench.engine.workers import TrainingConfig, WorkerGroup, Workers
from fdabench.models import MODELS
from fdabench.models.base import init_model
from fdabench.monitors import MONITORS
from fdabench.optimizers.sgd import SGD
from fdabench.strategies import STRATEGIES
from fdabench.strategies.fda import FDA

BATCH, CLASSES, SAMPLES, RATE = 32, 10, 60_000, 0.01
CONTEXT, TOKENS = 64, 256
NEVER = 1e30
"""A threshold that is never crossed: what is timed is the monitoring alone."""


class Case(NamedTuple):
    """One kind of work. `what`: floor, engine, or a strategy, with FDA's monitor after a dash."""

    what: str
    model: str
    workers: int
    engine: str = "sequential"
    precision: Precision = "fp32"


class Timing(NamedTuple):
    samples: int
    seconds: float
    inside_s: float
    """Of these, seconds within the strategy."""

    @property
    def rate(self) -> float:
        return self.samples / self.seconds


def noise(model: str) -> DatasetTensors:
    """Random images of the shape that a model takes, or sequences of bytes, as many as MNIST has images."""
    generator = torch.Generator().manual_seed(0)
    if MODELS[model].task == "next-token":
        tokens = torch.randint(TOKENS, (SAMPLES, CONTEXT + 1), generator=generator)
        x, y = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
        return DatasetTensors(x, y, x[:10_000], y[:10_000], TOKENS)
    shape = MODELS[model].input_shape or (1, 28, 28)
    x, y = (torch.rand(n, *shape, generator=generator) for n in (SAMPLES, 10_000)), torch.arange(SAMPLES) % CLASSES
    train_x, test_x = x
    return DatasetTensors(train_x, y, test_x, y[:10_000], CLASSES).to(torch.device("cpu"))


def samplers(workers: int) -> list[Sampler]:
    shards = np.array_split(np.arange(SAMPLES), workers)
    return [ShuffleSampler(shard, BATCH, "wrap", np.random.default_rng(k)) for k, shard in enumerate(shards)]


def loop_of(case: Case, data: DatasetTensors) -> Callable[[float], Timing]:
    """What does this work for about so many seconds."""
    if case.what == "floor":
        return _floor(case, data)
    workers = _workers(case, data)
    return _engine(workers, case) if case.what == "engine" else _strategy(workers, case)


def _floor(case: Case, data: DatasetTensors) -> Callable[[float], Timing]:
    """A model and an optimizer for each worker, one after the other, as torch's tutorials have it."""
    models = [init_model(MODELS[case.model], data.shape, data.classes, 0) for _ in range(case.workers)]
    optimizers = [torch.optim.SGD(model.parameters(), RATE) for model in models]
    draws = samplers(case.workers)
    # channels first, as everybody's images are; with one channel, `contiguous` would not see the difference
    x, y = torch.empty(data.train_x.shape, dtype=data.train_x.dtype).copy_(data.train_x), data.train_y

    def step() -> None:
        for model, optimizer, sampler in zip(models, optimizers, draws, strict=True):
            indices = torch.from_numpy(sampler.next_batch())
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[indices]).flatten(0, -2), y[indices].flatten()).backward()
            optimizer.step()

    return lambda seconds: _timed(step, case.workers, seconds)


def _engine(workers: Workers, case: Case) -> Callable[[float], Timing]:
    return lambda seconds: _timed(workers.step, case.workers, seconds)


def _timed(step: Callable[[], Any], workers: int, seconds: float) -> Timing:
    start, steps = perf_counter(), 0
    while perf_counter() - start < seconds:
        step()
        steps += 1
    return Timing(steps * workers * BATCH, perf_counter() - start, 0.0)


def _workers(case: Case, data: DatasetTensors) -> Workers:
    model = init_model(MODELS[case.model], data.shape, data.classes, 0)
    training = TrainingConfig(
        model, SGD(RATE), LabeledData(data.train_x, data.train_y), ENGINES[case.engine], case.precision
    )
    return Workers(training, [WorkerGroup(model, samplers(case.workers), range(case.workers))])


class _Watched:
    """A strategy whose time is taken."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy, self.seconds = strategy, 0.0

    def init(self, w_D: Tensor) -> Round:
        return self._strategy.init(w_D)

    def step(self, ctx: StepContext, r: Round, channel: Channel) -> StepResult:
        start = perf_counter()
        outcome = self._strategy.step(ctx, r, channel)
        self.seconds += perf_counter() - start
        return outcome


def _strategy(workers: Workers, case: Case) -> Callable[[float], Timing]:
    def go(seconds: float) -> Timing:
        watched, ledger = _Watched(_named(case)), Ledger()
        channel = Channel(InProcessCollective(torch.full((case.workers,), 1 / case.workers)), ledger)
        start = perf_counter()
        train_loop(workers, [CellLoop(watched, channel, 10**9, lambda moment: perf_counter() - start < seconds)])
        return Timing(ledger.step * case.workers * BATCH, perf_counter() - start, watched.seconds)

    return go


def _named(case: Case) -> Any:
    kind, _, monitor = case.what.partition("-")
    epoch = SAMPLES // (case.workers * BATCH)
    if kind == "fda":
        return FDA(theta=NEVER, monitor=MONITORS[monitor]())
    make: Any = STRATEGIES[kind]
    return make() if kind == "synchronous" else make(period=epoch)
