"""A small classification problem and a function that trains on it. Shape suffixes: K local workers, D parameters."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fdabench.core.channel import Channel, LossyMessages
from fdabench.core.codec import Layout
from fdabench.core.collective import Collective, InProcessCollective
from fdabench.core.ledger import Ledger, LedgerEntry
from fdabench.core.schedule import LocalSteps
from fdabench.core.seeds import numpy_generator, torch_generator
from fdabench.core.strategy import StepContext, Strategy
from fdabench.engine.arrays import LabeledData
from fdabench.engine.flatten import row_layout
from fdabench.engine.gradients.sequential import SequentialGradients
from fdabench.engine.loop import CellLoop, StepEvent, train_loop
from fdabench.engine.sampling import Sampler, ShuffleSampler
from fdabench.engine.workers import TrainingConfig, WorkerGroup, Workers
from fdabench.models.base import ModelSpec, init_model
from fdabench.optimizers.base import LocalOptimizer
from fdabench.optimizers.sgd import SGD

CLASSES, SAMPLES, BATCH = 3, 240, 8
STEPS, WORKERS = 30, 4
PARAMETERS = 163
"""(16 + 1) * 8 + (8 + 1) * 3."""


class TrainingRun(NamedTuple):
    """The results of `train`. `estimates` are hexadecimal text: NaN equals NaN there, and nothing is rounded."""

    w_KD: Tensor
    syncs: list[int]
    estimates: list[str]
    entries: list[LedgerEntry]
    losses: list[float]

    @property
    def ledger(self) -> pd.DataFrame:
        return pd.DataFrame(self.entries)


@cache
def data() -> tuple[Tensor, Tensor]:
    """Three overlapping Gaussian clouds as images of 4 x 4 pixels."""
    generator = torch_generator(7)
    y = torch.arange(SAMPLES) % CLASSES
    centers = torch.randn(CLASSES, 1, 4, 4, generator=generator)
    return centers[y] + 0.7 * torch.randn(SAMPLES, 1, 4, 4, generator=generator), y


def build(shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, classes))


def model(dtype: torch.dtype = torch.float32) -> nn.Module:
    """A model with fixed weights."""
    return init_model(ModelSpec(build, None, ""), (1, 4, 4), CLASSES, 11).to(dtype)


@cache
def layout() -> Layout:
    """The tensors of the model in a row."""
    return row_layout(model())


def sampler(worker: int, workers: int) -> Sampler:
    """Worker `worker` of `workers` holds every `workers`-th sample. Its draws depend on no other worker."""
    shard = np.arange(worker, SAMPLES, workers)
    return ShuffleSampler(shard, BATCH, "wrap", numpy_generator(100 + worker))


def make_workers(
    local_workers: Sequence[int],
    workers: int,
    local: LocalOptimizer,
    dtype: torch.dtype = torch.float32,
    steps: int = 0,
    slow: LocalSteps | None = None,
) -> Workers:
    """The workers with the indices `local_workers`, out of `workers`; `steps` is the budget of a schedule."""
    x, y = data()
    return sequential_workers(
        model(dtype),
        local,
        [sampler(k, workers) for k in local_workers],
        LabeledData(x.to(dtype), y),
        steps,
        None if slow is None else slow.rows(local_workers),
    )


def sequential_workers(
    net: nn.Module,
    local: LocalOptimizer,
    samplers: Sequence[Sampler],
    examples: LabeledData,
    steps: int = 0,
    slow: LocalSteps | None = None,
) -> Workers:
    """One cell's workers, each with its sampler, whose gradients are computed one after the other."""
    training = TrainingConfig(net, local, examples, SequentialGradients, steps=steps)
    return Workers(training, [WorkerGroup(net, samplers, range(len(samplers)), slow)])


def equal_shares(workers: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.full((workers,), 1 / workers, dtype=dtype)


def step_context(
    t: int, w_KD: Tensor, g_KD: Tensor | None = None, worker_state: Mapping[str, Tensor] | None = None
) -> StepContext:
    """A local step of a budget of `STEPS`: learning rate 0.2, losses 1; gradients that are not given are zeros."""
    gradients = torch.zeros_like(w_KD) if g_KD is None else g_KD
    loss_K = torch.ones(len(w_KD))
    return StepContext(t, w_KD, gradients, loss_K, STEPS, lambda t: 0.2, worker_state or {}, ())


def train(
    strategy: Strategy,
    *,
    workers: int = WORKERS,
    steps: int = STEPS,
    local: LocalOptimizer | None = None,
    local_workers: Sequence[int] | None = None,
    collective: Collective | None = None,
    dtype: torch.dtype = torch.float32,
    on_step: Callable[[StepEvent], None] = lambda event: None,
    loss: LossyMessages | None = None,
    slow: LocalSteps | None = None,
) -> TrainingRun:
    """Train the toy with a strategy.

    Args:
        strategy: decides after each step whether to synchronize.
        workers: number of workers in all processes.
        steps: local steps of each worker.
        local: the local optimizer; by default SGD with a learning rate of 0.2.
        local_workers: indices of the workers that this process holds; by default all.
        collective: averages over the workers; by default in this process, with equal weights.
        dtype: of the weights and the data.
        on_step: called after each step.
        loss: which messages are lost.
        slow: the local steps of slow workers, by which drifts are normalized too.
    """
    local_workers = range(workers) if local_workers is None else local_workers
    matrix = make_workers(local_workers, workers, local or SGD(lr=0.2), dtype, steps, slow)
    channel = Channel(
        collective or InProcessCollective(equal_shares(workers, dtype)), Ledger(), loss=loss, normalization=slow
    )
    result = TrainingRun(matrix.weights(), [], [], channel.ledger.entries, [])

    def record(event: StepEvent) -> bool:
        if event.outcome.synced:
            result.syncs.append(event.step)
        result.estimates.append(event.outcome.estimate.hex())
        result.losses.append(float(event.losses.loss_K.mean()))
        on_step(event)
        return True

    train_loop(matrix, [CellLoop(strategy, channel, steps, record)])
    return result
