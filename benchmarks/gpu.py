"""How fast the engines are on one GPU, and what a CUDA graph changes.

    python benchmarks/gpu.py [--json FILE]

A step is one of SGD by every worker on random images, batch 32, as in `speed.py`. Times are of the clock, between two
moments at which the GPU has nothing left to do.
"""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from unittest.mock import patch

import torch
from cases import CLASSES, RATE, noise, samplers

from fdabench.engine.arrays import BatchMetrics, LabeledData
from fdabench.engine.gradients import vectorized as vectorized
from fdabench.engine.gradients.selection import ENGINES
from fdabench.engine.workers import TrainingConfig, WorkerGroup, Workers
from fdabench.models import MODELS
from fdabench.models.base import init_model
from fdabench.optimizers.sgd import SGD

CUDA = torch.device("cuda")
SIZES = (("lenet5", 5), ("lenet5", 10), ("lenet5", 60), ("lenet5", 240), ("cnn", 5), ("cnn", 45), ("vgg16star", 5))
REPEATS, SECONDS, BATCH = 5, 0.4, 32


@contextmanager
def without_graphs() -> Iterator[None]:
    """The vectorized engine launches each kernel by itself."""

    def eager(function: Callable[..., BatchMetrics], device: torch.device) -> Callable[..., BatchMetrics]:
        return lambda first, second: function(first.to(device), second.to(device))

    with patch.object(vectorized, "GraphedFunction", eager):
        yield


def step_ms(engine: str, model: str, workers: int) -> float:
    """Milliseconds of a local step of all workers: the median of a few measurements."""
    data = noise(model).to(CUDA)
    net = init_model(MODELS[model], data.shape, CLASSES, 0).to(CUDA)
    training = TrainingConfig(net, SGD(RATE), LabeledData(data.train_x, data.train_y), ENGINES[engine])
    crew = Workers(training, [WorkerGroup(net, samplers(workers), list(range(workers)))])
    for _ in range(5):
        crew.step()
    count, actual = max(1, round(SECONDS / _seconds(crew, 1))), []
    for _ in range(REPEATS):
        actual.append(_seconds(crew, max(1, count // REPEATS)))
    return 1e3 * median(actual)


def _seconds(crew: Workers, steps: int) -> float:
    torch.cuda.synchronize()
    start = perf_counter()
    for _ in range(steps):
        crew.step()
    torch.cuda.synchronize()
    return (perf_counter() - start) / steps


def main() -> None:
    """The command line."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; milliseconds of a step")
    print(
        "| model | K | sequential | vectorized, no graph | vectorized | samples/s | against sequential |\n|"
        + "---|" * 7
    )
    rows = []
    for model, workers in SIZES:
        with without_graphs():
            eager = step_ms("vectorized", model, workers)
        one, other = step_ms("sequential", model, workers), step_ms("vectorized", model, workers)
        rate = 1e3 * workers * BATCH / other
        rows.append({"model": model, "workers": workers, "sequential": one, "no_graph": eager, "vectorized": other})
        print(
            f"| {model} | {workers} | {one:.2f} | {eager:.2f} | {other:.2f} | {rate:,.0f} | {one / other:.1f} x |",
            flush=True,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
