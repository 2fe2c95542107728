"""What `fdabench.sync` adds to a plain PyTorch loop on one process: processor time and memory.

    python benchmarks/own_loop.py [--steps 40] [--repeats 15]

Each loop trains a model of its own on one batch. Blocks of steps of the plain loop and of the others take
turns; a figure is the median over the blocks of processor time by that of the plain block of the same turn. FDA's
threshold is never crossed, and FedAvg synchronizes after every 10 steps. The loops "by hand" compute the state of the
monitor after each step and nothing else: the weights in one row, the drift, its norm, and its product with a direction
or its sketch. Memory is that of the tensors that `sync` and
its first step add, in float32 vectors of the length of the model. Prints a table in markdown.
"""

import gc
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Any, NamedTuple

import torch
from plain import CONTEXT, make_plain_loop, processor_time
from torch import nn

from fdabench import sync
from fdabench.core.count_sketch import draw_hashes
from fdabench.core.monitor import Monitor
from fdabench.core.strategy import Round
from fdabench.engine.allocator import disable_malloc_trim
from fdabench.monitors.linear import Linear
from fdabench.monitors.sketch import Sketch
from fdabench.own_loop.parameters import ModelRow

NEVER = 1e30
STRATEGIES: dict[str, dict[str, Any]] = {
    "fedavg": {"kind": "fedavg", "local_steps": 10},
    "fda-linear": {"kind": "fda", "monitor": "linear", "theta": NEVER},
    "fda-sketch": {"kind": "fda", "monitor": "sketch", "theta": NEVER},
}
BY_HAND: dict[str, Monitor] = {"fda-linear by hand": Linear(), "fda-sketch by hand": Sketch()}
BATCH = 32
TARGETS = {"fedavg": 3.0, "fda-linear": 6.0, "fda-sketch": 10.0}
"""Percent of the plain loop."""


class Loop(NamedTuple):
    """A loop that trains a model of its own."""

    model: nn.Module
    step: Callable[[], None]
    num_parameters: int
    vectors: float
    """Memory that `sync` adds, in vectors of `num_parameters` float32 numbers."""


def make_loop(model_name: str, stack: ExitStack, strategy: dict[str, Any] | None) -> Loop:
    """A loop that has made a step; without `sync` if the strategy is None."""
    is_gpt = model_name == "gpt-nano"
    model, optimizer, step = make_plain_loop(model_name, BATCH, 65 if is_gpt else 10, CONTEXT if is_gpt else 0)

    def memory() -> dict[int, int]:
        step()
        optimizer.zero_grad()
        return tensor_bytes()

    before = memory()
    if strategy is not None:
        draw_hashes.cache_clear()
        stack.enter_context(sync(model, optimizer, strategy))
    added = sum(size for address, size in memory().items() if address not in before)
    size = sum(parameter.numel() for parameter in model.parameters())
    return Loop(model, step, size, added / (4 * size))


def make_loop_by_hand(model_name: str, monitor: Monitor) -> Loop:
    """A loop that computes the state of a monitor after each step."""
    with ExitStack() as stack:
        loop = make_loop(model_name, stack, None)
    row = ModelRow(loop.model)
    anchor_D = row.read()[0]
    r = Round(anchor_D, anchor_D.roll(1), ())

    def step() -> None:
        loop.step()
        with torch.no_grad():
            monitor.local_state(row.current() - anchor_D, r)

    return loop._replace(step=step)


def tensor_bytes() -> dict[int, int]:
    """Bytes of the memory of all tensors, by address."""
    gc.collect()
    dense: list[torch.Tensor] = []
    for candidate in gc.get_objects():
        if type(candidate) is torch.Tensor and candidate.layout == torch.sparse_csr:
            dense += [candidate.crow_indices(), candidate.col_indices(), candidate.values()]
        elif type(candidate) in (torch.Tensor, nn.Parameter) and candidate.layout == torch.strided:
            dense.append(candidate)
    return {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in dense}


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40, help="steps of a block")
    parser.add_argument("--repeats", type=int, default=15, help="blocks of each loop")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    disable_malloc_trim()
    print("| model | parameters | plain step, ms | strategy | added time | target | added memory |")
    print(7 * "|---" + "|")
    for name in ("lenet5", "gpt-nano"):
        with ExitStack() as stack:
            plain = make_loop(name, stack, None)
            loops = {kind: make_loop(name, stack, table) for kind, table in STRATEGIES.items()}
            loops |= {kind: make_loop_by_hand(name, monitor) for kind, monitor in BY_HAND.items()}
            for loop in (plain, *loops.values()):
                processor_time(loop.step, arguments.steps)
            ratios: dict[str, list[float]] = {kind: [] for kind in loops}
            floors = []
            for _ in range(arguments.repeats):
                floor = processor_time(plain.step, arguments.steps)
                floors.append(floor / arguments.steps)
                for kind, loop in loops.items():
                    ratios[kind].append(processor_time(loop.step, arguments.steps) / floor)
        for kind, values in ratios.items():
            added, ms = 100 * (median(values) - 1), 1e3 * median(floors)
            target = f"{TARGETS[kind]:.0f} % | {loops[kind].vectors:.1f} vectors" if kind in TARGETS else "|"
            print(f"| {name} | {plain.num_parameters:,} | {ms:.2f} | {kind} | {added:.1f} % | {target} |")


if __name__ == "__main__":
    main()
