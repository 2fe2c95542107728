"""What each process of a distributed test does; a module of its own, so that spawned processes can import it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.distributed as dist
from battery.line_up import LINE_UP
from battery.toy import Ran, equal_shares, train

from fdabench.core.collective import AllReduced, RankOrdered
from fdabench.core.strategy import Strategy
from fdabench.optimizers.adam import Adam, AdamW
from fdabench.optimizers.base import LocalOptimizer
from fdabench.optimizers.sgd import Sgd

STEPS = 20
SHARES = (0.5, 0.2, 0.2, 0.1)
"""Averaging weights of four workers that hold unequal shards."""


class Case(NamedTuple):
    """A strategy, the local optimizer under it, and how the workers are weighted."""

    strategy: Strategy
    local: LocalOptimizer
    weighted: bool = False

    def shares(self, workers: int) -> torch.Tensor:
        return torch.tensor(SHARES[:workers]) / sum(SHARES[:workers]) if self.weighted else equal_shares(workers)


def cases() -> dict[str, Case]:
    """The line-up; and, for the one strategy that uses everything, every local optimizer and kind of average."""
    sketch = LINE_UP["fda-sketch-adam-reddi"]
    plain = {name: Case(strategy, Sgd(lr=0.2)) for name, strategy in LINE_UP.items()}
    return plain | {
        "adam": Case(sketch, Adam(lr=0.02)),
        "adamw": Case(sketch, AdamW(lr=0.02, weight_decay=0.1)),
        "averaged optimizer state": Case(sketch, Adam(lr=0.02, at_sync="average")),
        "weighted": Case(sketch, Sgd(lr=0.2, momentum=0.9), weighted=True),
    }


def held_by(rank: int, held: Sequence[int]) -> range:
    """The indices of the workers of this rank."""
    first = sum(held[:rank])
    return range(first, first + held[rank])


def ordered(layouts: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], dict[str, Ran]]:
    """Every case in every layout (workers held by each rank), with the mean that sums in rank order."""
    return {layout: {name: _ordered(case, layout) for name, case in cases().items()} for layout in layouts}


def _ordered(case: Case, held: tuple[int, ...]) -> Ran:
    workers = sum(held)
    collective = RankOrdered(case.shares(workers), held)
    mine = held_by(dist.get_rank(), held)
    return train(case.strategy, workers=workers, steps=STEPS, local=case.local, held=mine, collective=collective)


def both(layouts: Sequence[tuple[int, ...]], held: tuple[int, ...]) -> tuple[dict, dict]:
    """Started once: the layouts as above, and one with the backend's own sum."""
    return ordered(layouts), {name: _reduced(case, held) for name, case in cases().items()}


def _reduced(case: Case, held: tuple[int, ...]) -> Ran:
    workers, mine = sum(held), held_by(dist.get_rank(), held)
    collective = AllReduced(case.shares(workers)[mine.start : mine.stop], held)
    return train(case.strategy, workers=workers, steps=STEPS, local=case.local, held=mine, collective=collective)


def rank_and_sum(number: int) -> tuple[int, float, int]:
    """Something quick: the rank, a sum over the ranks, and the number of threads."""
    total = torch.tensor([float(number + dist.get_rank())])
    dist.all_reduce(total)
    return dist.get_rank(), total.item(), torch.get_num_threads()


def last_one_fails() -> None:
    """The others wait for it in a collective."""
    if dist.get_rank() == dist.get_world_size() - 1:
        raise ValueError("no such worker")
    dist.all_reduce(torch.zeros(1))


def never_ends() -> None:
    while True:
        pass


def ends_at_once() -> None:
    """As a process that the system kills."""
    import os

    os._exit(3)
