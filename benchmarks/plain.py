"""A plain PyTorch loop on one fixed batch, and its processor time: the floor of `own_loop.py` and `bound.py`."""

from collections.abc import Callable
from time import process_time
from typing import NamedTuple

import torch
from torch import nn

from fdabench.models import MODELS
from fdabench.models.base import init_model

CONTEXT = 64
"""The tokens that a GPT of these benchmarks is made for."""


class PlainLoop(NamedTuple):
    """A model, its optimizer, and a function that makes a step."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    step: Callable[[], None]


def make_plain_loop(model_name: str, batch: int, classes: int, tokens: int) -> PlainLoop:
    """A loop with SGD.

    Args:
        model_name: of the registry.
        batch: the number of samples.
        classes: the number of logits.
        tokens: in a sample, for a GPT; 0 for images of MNIST's shape.
    """
    generator = torch.Generator().manual_seed(0)
    shape: tuple[int, ...] = (CONTEXT,) if tokens else (1, 28, 28)
    if tokens:
        x, y = torch.randint(classes, (2, batch, tokens), generator=generator)
    else:
        x, y = torch.rand(batch, *shape, generator=generator), torch.arange(batch) % classes
    model = init_model(MODELS[model_name], shape, classes, 0)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)

    def step() -> None:
        optimizer.zero_grad()
        logits = model(x)
        nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1)).backward()
        optimizer.step()

    return PlainLoop(model, optimizer, step)


def processor_time(step: Callable[[], None], steps: int) -> float:
    """Seconds of processor time of some steps."""
    start = process_time()
    for _ in range(steps):
        step()
    return process_time() - start
