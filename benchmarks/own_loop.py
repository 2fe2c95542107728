"""What `fdabench.sync` adds to a plain PyTorch loop on one process.

    python benchmarks/own_loop.py [--steps 40] [--repeats 15]

Each loop trains a model of its own on one batch. Blocks of steps of the plain loop and of the others take
turns; a figure is the median over the blocks of processor time by that of the plain block of the same turn. FDA's
threshold is never crossed, and FedAvg synchronizes after every 10 steps. Prints a table in markdown.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from time import process_time
from typing import Any

import torch
from torch import nn

from fdabench import sync
from fdabench.engine.allocator import disable_malloc_trim
from fdabench.models import MODELS
from fdabench.models.base import init_model

NEVER = 1e30
STRATEGIES: dict[str, dict[str, Any]] = {
    "fedavg": {"kind": "fedavg", "local_steps": 10},
    "fda-linear": {"kind": "fda", "monitor": "linear", "theta": NEVER},
    "fda-sketch": {"kind": "fda", "monitor": "sketch", "theta": NEVER},
}
BATCH, CONTEXT = 32, 64
TARGETS = {"fedavg": 3.0, "fda-linear": 6.0, "fda-sketch": 10.0}
"""Percent of the plain loop."""


def make_loop(model_name: str, stack: ExitStack, strategy: dict[str, Any] | None) -> tuple[Callable[[], None], int]:
    """A function that makes one step of training, and the number of parameters."""
    generator = torch.Generator().manual_seed(0)
    if model_name == "gpt-nano":
        classes, shape = 65, (CONTEXT,)
        x = torch.randint(classes, (BATCH, CONTEXT), generator=generator)
        y = torch.randint(classes, (BATCH, CONTEXT), generator=generator)
    else:
        classes, shape = 10, (1, 28, 28)
        x, y = torch.rand(BATCH, *shape, generator=generator), torch.arange(BATCH) % classes
    model = init_model(MODELS[model_name], shape, classes, 0)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    if strategy is not None:
        stack.enter_context(sync(model, optimizer, strategy))

    def step() -> None:
        optimizer.zero_grad()
        logits = model(x)
        nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1)).backward()
        optimizer.step()

    return step, sum(each.numel() for each in model.parameters())


def processor_time(step: Callable[[], None], steps: int) -> float:
    begun = process_time()
    for _ in range(steps):
        step()
    return process_time() - begun


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40, help="steps of a block")
    parser.add_argument("--repeats", type=int, default=15, help="blocks of each loop")
    given = parser.parse_args()
    torch.set_num_threads(1)
    disable_malloc_trim()
    print("| model | parameters | plain step, ms | strategy | added | target |\n|---|---|---|---|---|---|")
    for name in ("lenet5", "gpt-nano"):
        with ExitStack() as stack:
            plain, size = make_loop(name, stack, None)
            loops = {kind: make_loop(name, stack, table)[0] for kind, table in STRATEGIES.items()}
            for step in (plain, *loops.values()):
                processor_time(step, given.steps)
            ratios: dict[str, list[float]] = {kind: [] for kind in loops}
            floors = []
            for _ in range(given.repeats):
                floor = processor_time(plain, given.steps)
                floors.append(floor / given.steps)
                for kind, step in loops.items():
                    ratios[kind].append(processor_time(step, given.steps) / floor)
        for kind, each in ratios.items():
            added, ms = 100 * (median(each) - 1), 1e3 * median(floors)
            print(f"| {name} | {size:,} | {ms:.2f} | {kind} | {added:.1f} % | {TARGETS[kind]:.0f} % |")


if __name__ == "__main__":
    main()
