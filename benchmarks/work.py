"""The work that each framework is given, and loops in plain PyTorch that do it: the floor. Imports torch only.

Ten workers train LeNet-5 on MNIST-shaped images with plain SGD, without evaluation. Two kinds of work:

- `round`: each worker trains one epoch of 187 batches, then the models are averaged (FedAvg);
- `step`: the models are averaged after every step of all workers (Synchronous; what FDA's monitors need).

Everyone starts at the same weights and takes the same batches in the same order, so the models have to come out alike:
`Outcome.moved` says how far the weights went in the warm-up, and shows a framework that did other work.
Run as a script, this times the plain loops: `python work.py round --processes 2`.
"""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from functools import cache
from itertools import count
from math import ceil
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

WORKERS, SAMPLES, BATCH, RATE = 10, 60_000, 32, 0.01
SHARE = SAMPLES // WORKERS
BATCHES = SHARE // BATCH  # only full ones: the 16 samples left over in a share would cost more than their part
STEPS = {"round": BATCHES, "step": 1}  # by each worker between two averages
WARM_UP = {"round": 1, "step": 10}  # averages before the clock matters

Batch = tuple[Tensor, Tensor]


class Outcome(NamedTuple):
    """Worker samples per second, and the distance from the initial weights after the first `WARM_UP` averages."""

    samples_per_s: float
    moved: float


def lenet5(seed: int = 0) -> nn.Module:
    """LeNet-5 with tanh, average pooling and Glorot-uniform kernels; 61,706 parameters."""
    torch.manual_seed(seed)
    features = [
        nn.Conv2d(1, 6, 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
    ]
    head = [nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)]
    model = nn.Sequential(*features, nn.Flatten(), *head)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)
    return model


@cache
def data(seed: int = 0) -> Batch:
    """Random images and labels, all in memory."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(SAMPLES, 1, 28, 28, generator=generator)
    return images, torch.randint(10, (SAMPLES,), generator=generator)


def share(worker: int) -> slice:
    """Which samples a worker has. They were drawn independently, so blocks of them are an IID partition."""
    return slice(worker * SHARE, (worker + 1) * SHARE)


@cache
def batches(worker: int) -> list[Batch]:
    """A worker's batches of an epoch. They are views: nobody pays for shuffling or gathering."""
    images, labels = (tensor[share(worker)][: BATCHES * BATCH].split(BATCH) for tensor in data())
    return list(zip(images, labels, strict=True))


def weights(model: nn.Module) -> Tensor:
    """All parameters as one vector."""
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def train(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch) -> None:
    """One local step."""
    images, labels = batch
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()


def time_it(work: str, seconds: float, advance: Callable[[int], None], current: Callable[[], Tensor]) -> Outcome:
    """Time `advance(n)`, which averages n times, for about `seconds`; `current()` gives the averaged weights."""
    before = current().clone()
    advance(WARM_UP[work])  # lazy set-up, caches
    moved = float((current() - before).norm())
    once = _stopwatch(advance, WARM_UP[work]) / WARM_UP[work]
    times = max(1, ceil(seconds / once))
    return Outcome(times * STEPS[work] * BATCH * WORKERS / _stopwatch(advance, times), moved)


def _stopwatch(advance: Callable[[int], None], times: int) -> float:
    """Seconds of the slowest process, so that all of them go on with the same number."""
    begin = perf_counter()
    advance(times)
    seconds = torch.tensor(perf_counter() - begin, dtype=torch.float64)
    if dist.is_initialized():
        dist.all_reduce(seconds, dist.ReduceOp.MAX)
    return float(seconds)


def plain(work: str, processes: int, seconds: float) -> Outcome:
    """Time the plain loops; every process has one thread and an equal part of the workers."""
    if processes == 1:
        return _loop(work, range(WORKERS), seconds)
    with TemporaryDirectory() as folder:
        outbox: SimpleQueue[Outcome] = get_context("spawn").SimpleQueue()
        meeting = (Path(folder) / "meeting").as_uri()
        spawn(_member, (processes, meeting, outbox, work, seconds), processes)
        return outbox.get()


def _member(rank: int, processes: int, meeting: str, outbox: "SimpleQueue[Outcome]", work: str, seconds: float) -> None:
    dist.init_process_group("gloo", meeting, rank=rank, world_size=processes)
    outcome = _loop(work, range(rank, WORKERS, processes), seconds)
    if rank == 0:
        outbox.put(outcome)
    leave()


def _loop(work: str, workers: Sequence[int], seconds: float) -> Outcome:
    """Each worker is a model and an optimizer of its own; they go in lock-step."""
    torch.set_num_threads(1)
    models = [lenet5() for _ in workers]
    optimizers = [torch.optim.SGD(model.parameters(), RATE) for model in models]
    own, steps = [batches(worker) for worker in workers], count()

    def advance(times: int) -> None:
        for _ in range(times):
            for _ in range(STEPS[work]):
                t = next(steps) % BATCHES
                for model, optimizer, actual in zip(models, optimizers, own, strict=True):
                    train(model, optimizer, actual[t])
            _average(models)

    return time_it(work, seconds, advance, lambda: weights(models[0]))


@torch.no_grad()
def _average(models: Sequence[nn.Module]) -> None:
    """Give each model the mean over all workers; one collective for all parameters together."""
    mean = torch.stack([weights(model) for model in models]).sum(0)
    if dist.is_initialized():
        dist.all_reduce(mean)
    mean /= WORKERS
    pieces = mean.split([parameter.numel() for parameter in models[0].parameters()])
    for model in models:
        for parameter, piece in zip(model.parameters(), pieces, strict=True):
            parameter.copy_(piece.view_as(parameter))


def leave() -> None:
    """Without this a process may abort at its end: gloo's threads would still run."""
    if dist.is_initialized():
        dist.destroy_process_group()


def arguments() -> Namespace:
    """What each of the scripts is called with."""
    parser = ArgumentParser()
    parser.add_argument("work", choices=list(STEPS))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    return parser.parse_args()


def say(version: str, outcome: Outcome) -> None:
    """What each of the scripts prints as its last line."""
    print(json.dumps({"version": version, **outcome._asdict()}), flush=True)


if __name__ == "__main__":
    options = arguments()
    say(torch.__version__, plain(options.work, options.processes, options.seconds))
