"""Functions that the processes of distributed tests run. Spawned processes import this module."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import PowerSGDState, powerSGD_hook
from torch.distributed.algorithms.model_averaging.averagers import PeriodicModelAverager

from fdabench.core.channel import LossyMessages
from fdabench.core.collective import AllGatherCollective, AllReduceCollective, Collective
from fdabench.core.schedule import LocalSteps
from fdabench.core.strategy import Strategy
from fdabench.optimizers.adam import Adam, AdamW
from fdabench.optimizers.base import LocalOptimizer
from fdabench.optimizers.sgd import SGD
from support.strategies import ALL_STRATEGIES
from support.toy import TrainingRun, data, equal_shares, model, sampler, train

STEPS = 20
SHARES = (0.5, 0.2, 0.2, 0.1, 0.3, 0.1, 0.4)
"""Averaging weights of workers with shards of different sizes; their sum does not matter."""
SPEEDS = (1.0, 0.5, 0.3, 1.0, 0.7, 0.25, 1.0)


class Case(NamedTuple):
    """A strategy, the local optimizer under it, and how the workers are weighted."""

    strategy: Strategy
    local: LocalOptimizer
    weighted: bool = False
    lossy: bool = False
    slow: bool = False

    def shares(self, workers: int) -> torch.Tensor:
        return torch.tensor(SHARES[:workers]) / sum(SHARES[:workers]) if self.weighted else equal_shares(workers)

    def loss(self, workers: int) -> LossyMessages | None:
        return LossyMessages(0.3, 2, 5, self.shares(workers)) if self.lossy else None

    def local_steps(self, workers: int) -> LocalSteps | None:
        return LocalSteps(SPEEDS[:workers]) if self.slow else None


def cases() -> dict[str, Case]:
    """Every strategy with SGD; and one that uses everything with each local optimizer and with weights."""
    sketch = ALL_STRATEGIES["fda-sketch-adam-reddi"]
    plain = {name: Case(strategy, SGD(lr=0.2)) for name, strategy in ALL_STRATEGIES.items()}
    return plain | {
        "adam": Case(sketch, Adam(lr=0.02)),
        "adamw": Case(sketch, AdamW(lr=0.02, weight_decay=0.1)),
        "averaged optimizer state": Case(sketch, Adam(lr=0.02, state_on_sync="average")),
        "weighted": Case(sketch, SGD(lr=0.2, momentum=0.9), weighted=True),
        "lost messages": Case(sketch, SGD(lr=0.2), weighted=True, lossy=True),
        "slow workers": Case(sketch, Adam(lr=0.02), slow=True),
        "slow workers, packed messages": Case(
            ALL_STRATEGIES["fda-linear-adam-reddi+int8+feedback"], SGD(lr=0.2, momentum=0.9), lossy=True, slow=True
        ),
        "lost packed messages": Case(ALL_STRATEGIES["fda-linear-adam-reddi+int8+feedback"], SGD(lr=0.2), lossy=True),
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
        loss=case.loss(sum(layout)),
        slow=case.local_steps(sum(layout)),
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


LEARNING_RATE = 0.2
"""Of local SGD, in comparisons with other packages."""


def wide_model() -> nn.Module:
    """Two layers of 256 weights each, so that layers are fragments of equal length."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        layers = nn.Linear(16, 16, bias=False), nn.Linear(16, 16, bias=False)
        return nn.Sequential(nn.Flatten(), layers[0], nn.Tanh(), layers[1]).double()


def flat(net: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in net.parameters()])


def _local_sgd(net: nn.Module, steps: int, optimizer: Any, after_step: Callable[[], object]) -> Tensor:
    """Local SGD in float64 on the batches of the worker of this rank. Returns the models after each step."""
    x, y = data()
    batches, history = sampler(dist.get_rank(), dist.get_world_size()), []
    for _ in range(steps):
        samples = torch.from_numpy(batches.next_batch())
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[samples].double()), y[samples]).backward()
        optimizer.step()
        after_step()
        history.append(flat(net))
    return torch.stack(history)


def torch_averager(period: int, steps: int) -> Tensor:
    """torch's PeriodicModelAverager. It counts from 0, so a warm-up of period - 1 steps puts the syncs at its ends."""
    net, averager = model(torch.float64), PeriodicModelAverager(period=period, warmup_steps=period - 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE)
    return _local_sgd(net, steps, optimizer, lambda: averager.average_parameters(net.parameters()))


def accelerate_local_sgd(period: int, steps: int) -> Tensor:
    """accelerate's LocalSGD, which averages after `period`, 2 `period`, ... steps, and once more at the end."""
    # accelerate finds the process group by these variables
    ranks = {"RANK": dist.get_rank(), "LOCAL_RANK": dist.get_rank(), "WORLD_SIZE": dist.get_world_size()}
    os.environ |= {name: str(value) for name, value in ranks.items()}
    os.environ |= {"LOCAL_WORLD_SIZE": os.environ["WORLD_SIZE"], "MASTER_ADDR": "127.0.0.1"}
    from accelerate import Accelerator
    from accelerate.local_sgd import LocalSGD

    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == dist.get_world_size()
    net = accelerator.prepare(model(torch.float64))
    optimizer = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE)
    with LocalSGD(accelerator=accelerator, model=net, local_sgd_steps=period) as local:
        return _local_sgd(net, steps, optimizer, local.step)


class _Manager:
    """The methods of the manager that torchft's DiLoCo calls, without the servers that detect lost replicas."""

    _use_async_quorum = False

    def __init__(self) -> None:
        self._step = 0

    def current_step(self) -> int:
        return self._step

    def should_commit(self) -> bool:
        self._step += 1
        return True

    def allreduce(self, tensor: Tensor, should_quantize: bool) -> Any:
        assert not should_quantize
        dist.all_reduce(tensor)
        tensor /= dist.get_world_size()
        return SimpleNamespace(wait=lambda: None)

    def start_quorum(self) -> None:
        pass

    def register_state_dict_fn(self, *functions: object) -> None:
        pass

    disallow_state_dict_read = allow_state_dict_read = start_quorum


def torchft_diloco(period: int, fragments: int, steps: int) -> Tensor:
    """torchft's DiLoCo of `wide_model`; with two fragments, each layer is one."""
    from torchft.local_sgd import DiLoCo

    net = wide_model()
    parts = [net] if fragments == 1 else [net[1], net[3]]
    outer = [torch.optim.SGD(part.parameters(), lr=0.7, momentum=0.9, nesterov=True) for part in parts]
    inner = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE)
    with ExitStack() as stack:
        # it synchronizes in a hook of the inner optimizer
        stack.enter_context(DiLoCo(_Manager(), parts, inner, outer, sync_every=period))
        return _local_sgd(net, steps, inner, lambda: None)


def other_packages(period: int, steps: int, installed: Sequence[str]) -> dict[str, Tensor]:
    """The models of this rank after each step, by package; torchft's DiLoCo of one and of two fragments."""
    actual = {"torch": torch_averager(period, steps)}
    if "torchft" in installed:
        actual |= {f"torchft {fragments}": torchft_diloco(period, fragments, steps) for fragments in (1, 2)}
    if "accelerate" in installed:
        actual["accelerate"] = accelerate_local_sgd(period, steps)
    return actual


def torch_powersgd(m_TKD: Tensor, shapes: Sequence[tuple[int, ...]], rank: int, first: Sequence[Tensor]) -> Tensor:
    """The means of torch's hook over messages of T syncs, shape [T, D].

    Args:
        m_TKD: the messages of all workers; each process sends its own.
        shapes: of the tensors in a row.
        rank: of the factors.
        first: the first Q of each matrix.
    """
    state = PowerSGDState(None, matrix_approximation_rank=rank, start_powerSGD_iter=2, min_compression_rate=1)
    state.iter = 2  # the hook averages plainly before
    rows = sum(shape[0] for shape in shapes if len(shape) > 1)
    state.p_memory_dict[0] = torch.zeros(rows * rank)
    state.q_memory_dict[0] = torch.cat([q.flatten() for q in first])
    arrived = []
    for m_KD in m_TKD:
        buffer = m_KD[dist.get_rank()].clone()
        parts = buffer.split([torch.Size(shape).numel() for shape in shapes])
        tensors = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
        bucket = SimpleNamespace(buffer=lambda b=buffer: b, index=lambda: 0, gradients=lambda t=tensors: t)
        bucket.is_last = lambda: True
        arrived.append(powerSGD_hook(state, bucket).wait().clone())
    return torch.stack(arrived)
