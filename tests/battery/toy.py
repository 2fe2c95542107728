"""A small problem, and one way to train on it. Shape suffixes: K = workers held here, D = parameters."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fdabench.core.channel import Channel
from fdabench.core.collective import Collective, Stacked
from fdabench.core.ledger import Entry, Ledger
from fdabench.core.seeds import numpy_generator, torch_generator
from fdabench.core.strategy import Strategy
from fdabench.engine.batches import Sampler, Shuffle
from fdabench.engine.loop import Course, Moment, run
from fdabench.engine.rows import Examples
from fdabench.engine.sequential import Sequential
from fdabench.engine.workers import Crew, Training, Workers
from fdabench.models.base import Architecture, initialised
from fdabench.optimizers.base import LocalOptimizer
from fdabench.optimizers.sgd import Sgd

CLASSES, SAMPLES, BATCH = 3, 240, 8
STEPS, WORKERS = 30, 4
PARAMETERS = 163
"""(16 + 1) * 8 + (8 + 1) * 3."""


class Ran(NamedTuple):
    """What a training left behind; `estimates` as hexadecimal text, so that NaN equals NaN and nothing is rounded."""

    w_KD: Tensor
    syncs: list[int]
    estimates: list[str]
    entries: list[Entry]
    losses: list[float]

    @property
    def ledger(self) -> pd.DataFrame:
        return pd.DataFrame(self.entries)


@cache
def data() -> tuple[Tensor, Tensor]:
    """Three overlapping Gaussian clouds as images of 4 x 4 pixels."""
    generator = torch_generator(7)
    y = torch.arange(SAMPLES) % CLASSES
    centres = torch.randn(CLASSES, 1, 4, 4, generator=generator)
    return centres[y] + 0.7 * torch.randn(SAMPLES, 1, 4, 4, generator=generator), y


def build(shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, classes))


def model(dtype: torch.dtype = torch.float32) -> nn.Module:
    """Always the same weights."""
    return initialised(Architecture(build, None, ""), (1, 4, 4), CLASSES, 11).to(dtype)


def sampler(worker: int, workers: int) -> Sampler:
    """Worker `worker` of `workers` holds every `workers`-th sample; what it draws depends on no other worker."""
    shard = np.arange(worker, SAMPLES, workers)
    return Shuffle(shard, BATCH, "wrap", numpy_generator(100 + worker))


def make_workers(
    held: Sequence[int], workers: int, local: LocalOptimizer, dtype: torch.dtype = torch.float32
) -> Workers:
    """The workers with these indices, out of `workers`."""
    x, y = data()
    return on(model(dtype), local, [sampler(k, workers) for k in held], Examples(x.to(dtype), y))


def on(net: nn.Module, local: LocalOptimizer, samplers: Sequence[Sampler], examples: Examples) -> Workers:
    """One crew, sequential."""
    return Workers(Training(net, local, examples, Sequential), [Crew(net, samplers, range(len(samplers)))])


def equal_shares(workers: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.full((workers,), 1 / workers, dtype=dtype)


def train(
    strategy: Strategy,
    *,
    workers: int = WORKERS,
    steps: int = STEPS,
    local: LocalOptimizer | None = None,
    held: Sequence[int] | None = None,
    collective: Collective | None = None,
    dtype: torch.dtype = torch.float32,
    see: Callable[[Moment], None] = lambda moment: None,
) -> Ran:
    """Train with this strategy; all workers are here unless `held` says which of them."""
    held = range(workers) if held is None else held
    crew = make_workers(held, workers, local or Sgd(lr=0.2), dtype)
    channel = Channel(collective or Stacked(equal_shares(workers, dtype)), Ledger())
    ran = Ran(crew.weights(), [], [], channel.ledger.entries, [])

    def note(moment: Moment) -> bool:
        if moment.outcome.synced:
            ran.syncs.append(moment.step)
        ran.estimates.append(moment.outcome.estimate.hex())
        ran.losses.append(float(moment.losses.loss_K.mean()))
        see(moment)
        return True

    run(crew, [Course(strategy, channel, steps, note)])
    return ran
