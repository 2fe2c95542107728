"""How much faster than a plain loop an engine could be that has no overhead at all.

    python benchmarks/bound.py [--repeats 15]

A step on one sample of one token costs little but overhead: of Python, autograd, and the calls of torch's operations.
The rest of a step on a whole batch is the operations themselves, which an engine has to compute too. So the bound is
t / (t - t_1), with t the processor time of a step on the batch and t_1 that of a step on one sample. Cases take turns;
times are medians. Prints a table in markdown.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from statistics import median
from time import process_time

import torch
from torch import nn

from fdabench.engine.allocator import disable_malloc_trim
from fdabench.models import MODELS
from fdabench.models.base import init_model

TOKENS, CONTEXT = 256, 64
BATCHES = {"lenet5": (32,), "gpt-nano": (16, 32)}


def make_step(model_name: str, batch: int, context: int) -> Callable[[], None]:
    """A step of a plain loop with SGD on a fixed batch; images if `context` is 0."""
    generator = torch.Generator().manual_seed(0)
    shape: tuple[int, ...]
    if context:
        shape, classes = (CONTEXT,), TOKENS
        x, y = torch.randint(TOKENS, (2, batch, context), generator=generator)
    else:
        shape, classes = (1, 28, 28), 10
        x, y = torch.rand(batch, *shape, generator=generator), torch.arange(batch) % classes
    model = init_model(MODELS[model_name], shape, classes, 0)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)

    def step() -> None:
        optimizer.zero_grad()
        logits = model(x)
        nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1)).backward()
        optimizer.step()

    return step


def milliseconds(step: Callable[[], None], steps: int) -> float:
    start = process_time()
    for _ in range(steps):
        step()
    return 1e3 * (process_time() - start) / steps


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    disable_malloc_trim()
    print("| model | batch | step, ms | step on one sample, ms | bound |\n|---|---|---|---|---|")
    for name, batches in BATCHES.items():
        context = CONTEXT if name.startswith("gpt") else 0
        small = make_step(name, 1, min(context, 1))
        steps = {batch: make_step(name, batch, context) for batch in batches}
        times: dict[int, list[float]] = {batch: [] for batch in (1, *batches)}
        for _ in range(repeats):
            times[1].append(milliseconds(small, 20))
            for batch, step in steps.items():
                times[batch].append(milliseconds(step, 5))
        one = median(times[1])
        for batch in batches:
            whole = median(times[batch])
            print(f"| {name} | {batch} | {whole:.2f} | {one:.2f} | {whole / (whole - one):.2f} |")


if __name__ == "__main__":
    main()
