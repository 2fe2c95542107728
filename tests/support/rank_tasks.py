"""What each process of a distributed test runs. Spawned processes import this module."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.distributed as dist

from fdabench.core.collective import AllGatherCollective, AllReduceCollective, Collective
from fdabench.core.strategy import Strategy
from fdabench.optimizers.adam import Adam, AdamW
from fdabench.optimizers.base import LocalOptimizer
from fdabench.optimizers.sgd import SGD
from support.strategies import ALL_STRATEGIES
from support.toy import TrainingRun, equal_shares, train

STEPS = 20
SHARES = (0.5, 0.2, 0.2, 0.1, 0.3, 0.1, 0.4)
"""Averaging weights of workers with shards of different sizes; their sum does not matter."""


class Case(NamedTuple):
    """A strategy, the local optimizer under it, and how the workers are weighted."""

    strategy: Strategy
    local: LocalOptimizer
    weighted: bool = False

    def shares(self, workers: int) -> torch.Tensor:
        return torch.tensor(SHARES[:workers]) / sum(SHARES[:workers]) if self.weighted else equal_shares(workers)


def cases() -> dict[str, Case]:
    """Every strategy with SGD; and one that uses everything with each local optimizer and with weights."""
    sketch = ALL_STRATEGIES["fda-sketch-adam-reddi"]
    plain = {name: Case(strategy, SGD(lr=0.2)) for name, strategy in ALL_STRATEGIES.items()}
    return plain | {
        "adam": Case(sketch, Adam(lr=0.02)),
        "adamw": Case(sketch, AdamW(lr=0.02, weight_decay=0.1)),
        "averaged optimizer state": Case(sketch, Adam(lr=0.02, state_on_sync="average")),
        "weighted": Case(sketch, SGD(lr=0.2, momentum=0.9), weighted=True),
    }


def local_workers(rank: int, layout: Sequence[int]) -> range:
    """The indices of the workers of this rank; rank r has `layout[r]` workers."""
    first = sum(layout[:rank])
    return range(first, first + layout[rank])


def run_in_rank_order(layouts: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], dict[str, TrainingRun]]:
    """Every case in every layout (number of workers of each rank), with the mean that sums in rank order."""
    return {
        layout: {
            name: _train(case, layout, AllGatherCollective(case.shares(sum(layout)), layout, dist.get_rank()))
            for name, case in cases().items()
        }
        for layout in layouts
    }


def run_both_reductions(layouts: Sequence[tuple[int, ...]], layout: tuple[int, ...]) -> tuple[dict, dict]:
    """`run_in_rank_order(layouts)`; then every case in one layout with the backend's all-reduce."""
    return run_in_rank_order(layouts), {name: _all_reduced(case, layout) for name, case in cases().items()}


def _all_reduced(case: Case, layout: tuple[int, ...]) -> TrainingRun:
    return _train(case, layout, AllReduceCollective(case.shares(sum(layout)), layout, dist.get_rank()))


def _train(case: Case, layout: tuple[int, ...], collective: Collective) -> TrainingRun:
    return train(
        case.strategy,
        workers=sum(layout),
        steps=STEPS,
        local=case.local,
        local_workers=local_workers(dist.get_rank(), layout),
        collective=collective,
    )


def rank_and_sum(number: int) -> tuple[int, float, int]:
    """The rank, a sum over the ranks, and the number of threads."""
    total = torch.tensor([float(number + dist.get_rank())])
    dist.all_reduce(total)
    return dist.get_rank(), total.item(), torch.get_num_threads()


def fail_on_last_rank() -> None:
    """The last rank raises while the others wait for it in a collective."""
    if dist.get_rank() == dist.get_world_size() - 1:
        raise ValueError("no such worker")
    dist.all_reduce(torch.zeros(1))


def loop_forever() -> None:
    while True:
        pass


def exit_at_once() -> None:
    """End without a report, like a process that the system kills."""
    os._exit(3)
