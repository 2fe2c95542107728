"""Training loops with `fdabench.sync` for spawned processes. Each returns the final state of its rank."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from fdabench import sync
from fdabench.cell_config import CellConfig
from fdabench.core.ledger import LedgerEntry
from fdabench.datasets.base import DatasetTensors
from fdabench.distributed.process_group import SINGLE_PROCESS, ProcessGroup, TorchProcessGroup
from fdabench.engine.flatten import flatten
from fdabench.engine.gradients.sequential import SequentialGradients
from fdabench.engine.loop import CellLoop, StepEvent, train_loop
from fdabench.engine.workers import Workers
from fdabench.errors import UsageError
from fdabench.execution.shared_data import load_datasets
from fdabench.experiment.build import build_cell, build_training
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.own_loop.parameters import BufferRule
from fdabench.own_loop.record import RunDescription
from fdabench.own_loop.session import SyncSession
from fdabench.registry.registry import BUILT_IN
from fdabench.suite.grid import check_strategies
from fdabench.suite.schema import STRATEGY_OPTIONS

SGD = {"kind": "sgd", "lr": 0.05, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "state_on_sync": "keep"}
STEPS = 12

STRATEGIES: Mapping[str, dict[str, Any]] = {
    "synchronous": {"kind": "synchronous"},
    "ddp": {"kind": "ddp"},
    "fedavg": {"kind": "fedavg", "local_steps": 3},
    "fedadam": {"kind": "fedadam", "local_steps": 3},
    "diloco": {"kind": "diloco", "local_steps": 3},
    "fda-exact": {"kind": "fda", "monitor": "exact", "theta": 0.005},
    "fda-linear": {"kind": "fda", "monitor": "linear", "theta": 0.005},
    "fda-sketch": {"kind": "fda", "monitor": "sketch", "theta": 0.005},
    "top-k": {"kind": "fedavg", "local_steps": 3, "codec": {"kind": "topk", "share": 0.1}, "feedback": 1.0},
    "scaffold": {"kind": "scaffold", "local_steps": 3},
}


class LoopEnd(NamedTuple):
    """The final state of a rank; `model` and `batches` are counters of the loop."""

    w_D: Tensor
    ledger: list[LedgerEntry]
    steps: int
    syncs: int


def end_of(model: nn.Module, s: SyncSession) -> LoopEnd:
    return LoopEnd(flatten(list(model.parameters())), list(s.ledger), s.steps, s.syncs)


def team() -> ProcessGroup:
    return TorchProcessGroup(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else SINGLE_PROCESS


def resolved_cell(strategy: Mapping[str, Any], workers: int) -> ResolvedCell:
    """A cell with the defaults that a suite would fill in."""
    table = check_strategies([dict(strategy)], BUILT_IN).tables[0]
    config = {
        "dataset": "digits",
        "model": "mlp",
        "workers": workers,
        "batch_size": 16,
        "optimizer": SGD,
        "partition": {"kind": "iid"},
        "sampling": "shuffle",
        "last_batch": "wrap",
        "averaging": "uniform",
        "strategy": {key: value for key, value in table.items() if key not in STRATEGY_OPTIONS},
        "budget": {"steps": STEPS},
        "eval": {"every_steps": STEPS},
        "seed": 3,
    }
    return ResolvedCell(CellConfig.from_table(config))


def simulate_and_loop(names: Sequence[str]) -> dict[str, tuple[LoopEnd, LoopEnd]]:
    """Train each strategy on the digits by the engine and by a user's loop with the same batches and initial model."""
    data, size = load_datasets(["digits"], Path())["digits"], team().size
    return {name: _both(resolved_cell(STRATEGIES[name], size), STRATEGIES[name], data) for name in names}


def _both(cell: ResolvedCell, table: dict[str, Any], data: DatasetTensors) -> tuple[LoopEnd, LoopEnd]:
    simulated, looped = build_cell(cell, data, team()), build_cell(cell, data, team())
    workers = Workers(build_training(cell, simulated, SequentialGradients), [simulated.group])
    syncs = 0

    def count(event: StepEvent) -> bool:
        nonlocal syncs
        syncs += event.outcome.synced
        return True

    train_loop(workers, [CellLoop(simulated.strategy, simulated.channel, STEPS, count)])
    engine = LoopEnd(workers.weights()[0], list(simulated.channel.ledger.entries), STEPS, syncs)
    model, (sampler,) = looped.group.start, looped.group.samplers
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with sync(model, optimizer, table, seed=cell.seeds["sketch"], reduction="ordered") as s:
        for _ in range(STEPS):
            samples = torch.from_numpy(sampler.next_batch())
            nn.functional.cross_entropy(model(looped.examples.x[samples]), looped.examples.y[samples]).backward()
            optimizer.step()
            optimizer.zero_grad()
    return engine, end_of(model, s)


def small_model(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, draw: int, scaler: Any = None) -> None:
    """One step on a batch that the number `draw` and the rank determine."""
    rank = dist.get_rank() if dist.is_initialized() else 0
    generator = torch.Generator().manual_seed(1000 * rank + draw)
    x, y = torch.randn(8, 6, generator=generator), torch.randint(3, (8,), generator=generator)
    loss = nn.functional.cross_entropy(model(x), y)
    if scaler is None:
        loss.backward()
        optimizer.step()
    else:
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    optimizer.zero_grad()


def uneven(table: dict[str, Any], steps_of_rank: Sequence[int]) -> LoopEnd:
    """Each rank makes another number of steps."""
    model = small_model(dist.get_rank())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9 if table["kind"] == "ddp" else 0.0)
    with sync(model, optimizer, table) as s:
        for draw in range(steps_of_rank[dist.get_rank()]):
            train_step(model, optimizer, draw)
    return end_of(model, s)


def skipped(table: dict[str, Any]) -> LoopEnd:
    """Rank 1 has an infinite gradient in its third step, so its GradScaler skips that step (pytorch#76282)."""
    model = small_model()
    optimizer, scaler = torch.optim.SGD(model.parameters(), lr=0.1), torch.amp.GradScaler("cpu", init_scale=8.0)
    with sync(model, optimizer, table) as s:
        for draw in range(6):
            if draw == 2 and dist.get_rank() == 1:
                model[0].weight.register_hook(lambda grad: grad * torch.inf)
                hook = model[0].weight._backward_hooks
                train_step(model, optimizer, draw, scaler)
                hook.clear()
            else:
                train_step(model, optimizer, draw, scaler)
        s.join()
        total = torch.ones(1)
        dist.all_reduce(total)  # a collective of the loop's own, in step after `join`
        assert total.item() == dist.get_world_size()
    return end_of(model, s)


def straight_and_resumed(table: dict[str, Any]) -> tuple[LoopEnd, LoopEnd]:
    """Ten steps at once, and ten steps with a new model, optimizer and session after the fifth."""
    model, optimizer = _with_optimizer()
    with sync(model, optimizer, table) as s:
        for draw in range(10):
            train_step(model, optimizer, draw)
    straight = end_of(model, s)
    model, optimizer = _with_optimizer()
    first = sync(model, optimizer, table)
    with first:
        for draw in range(5):
            train_step(model, optimizer, draw)
    buffer = BytesIO()
    torch.save({"s": first.state_dict(), "optimizer": optimizer.state_dict()}, buffer)
    buffer.seek(0)
    saved = torch.load(buffer, weights_only=True)
    model, optimizer = _with_optimizer(seed=9)
    second = sync(model, optimizer, table)
    second.load_state_dict(saved["s"])
    optimizer.load_state_dict(saved["optimizer"])
    with second:
        for draw in range(5, 10):
            train_step(model, optimizer, draw)
    return straight, end_of(model, second)


def _with_optimizer(seed: int = 0) -> tuple[nn.Sequential, torch.optim.Optimizer]:
    model = small_model(seed)
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def save_run(folder: str) -> None:
    """Train and save two strategies in one folder."""
    for strategy, keys in (("synchronous", {}), ("fda", {"monitor": "linear", "theta": 0.02})):
        model, optimizer = _with_optimizer()
        with sync(model, optimizer, strategy, **keys) as s:
            for draw in range(12):
                train_step(model, optimizer, draw)
                if draw % 4 == 3:
                    s.log(draw + 1, accuracy=0.5 + draw / 40, loss=1 - draw / 40)
        s.save(folder, RunDescription("clouds", "mlp", batch_size=8, targets=(0.7,), reference=strategy != "fda"))


class RankLoops(NamedTuple):
    """The final states of the loops of one of two ranks; keys are kinds of strategies."""

    uneven: dict[str, LoopEnd]
    skipped: dict[str, LoopEnd]
    accumulated: LoopEnd
    straight_and_resumed: tuple[LoopEnd, LoopEnd]
    plain_and_ddp: tuple[LoopEnd, LoopEnd]
    sharded: str
    running_means: dict[str, Tensor]
    without_gradient: LoopEnd


def all_rank_loops(folder: str) -> RankLoops:
    """Every loop that `tests/own_loop/test_ranks.py` checks, in one process group."""
    fda = {"kind": "fda", "monitor": "linear", "theta": 0.001}
    tables = [{"kind": "synchronous"}, fda, {"kind": "ddp"}, {"kind": "scaffold", "local_steps": 2}]
    save_run(folder)
    return RankLoops(
        {table["kind"]: uneven(table, (7, 4)) for table in tables},
        {table["kind"]: skipped(table) for table in tables[:3]},
        accumulated(),
        straight_and_resumed({"kind": "fedadam", "local_steps": 3}),
        (local_steps(small_model()), local_steps(DistributedDataParallel(small_model()))),
        refusal_of_a_sharded_model(),
        {rule: running_mean(rule) for rule in ("local", "averaged")},
        without_gradient(),
    )


def accumulated() -> LoopEnd:
    """Six backward passes, and a step of the optimizer after every second."""
    model, optimizer = _with_optimizer()
    with sync(model, optimizer, "synchronous") as s:
        for draw in range(6):
            x = torch.full((2, 6), float(draw + dist.get_rank()))
            (model(x).square().mean() / 2).backward()
            if draw % 2:
                optimizer.step()
                optimizer.zero_grad()
    return end_of(model, s)


def local_steps(model: nn.Module) -> LoopEnd:
    """Five steps with a sync after the second and the fourth."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with sync(model, optimizer, "fedavg", local_steps=2) as s:
        for draw in range(5):
            train_step(model, optimizer, draw)
    if isinstance(model, DistributedDataParallel):
        # after the block it averages gradients and broadcasts buffers again
        assert model.require_backward_grad_sync
        assert model.require_forward_param_sync
    return end_of(model, s)


def refusal_of_a_sharded_model() -> str:
    """The message for a model that FSDP2 has sharded."""
    mesh = dist.device_mesh.init_device_mesh("cpu", (dist.get_world_size(),))
    model = fully_shard(small_model(), mesh=mesh)
    try:
        sync(model, torch.optim.SGD(model.parameters(), lr=0.1), "synchronous")
    except UsageError as error:
        return str(error)
    return ""


def running_mean(buffers: BufferRule) -> Tensor:
    """The running mean of a batch normalization after one step on different data, and a sync."""
    model = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with sync(model, optimizer, "synchronous", buffers=buffers):
        train_step(model, optimizer, 0)
    return model[0].running_mean.clone()


def without_gradient() -> LoopEnd:
    """The first layer of rank 1 has no gradient in two steps with averaged gradients."""
    model, optimizer = _with_optimizer()
    with sync(model, optimizer, "ddp") as s:
        for draw in range(2):
            nn.functional.cross_entropy(model(torch.full((2, 6), draw + 1.0)), torch.tensor([0, 1])).backward()
            if dist.get_rank() == 1:
                model[0].weight.grad = model[0].bias.grad = None
            optimizer.step()
            optimizer.zero_grad()
    return end_of(model, s)


def two_groups() -> LoopEnd:
    """Four ranks in two groups: 0 and 2 average at every step, 1 and 3 after every second."""
    groups = [dist.new_group([0, 2]), dist.new_group([1, 3])]
    actual = dist.get_rank() % 2
    model = small_model(dist.get_rank())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with sync(model, optimizer, "fedavg", local_steps=1 + actual, process_group=groups[actual]) as s:
        for draw in range(4):
            train_step(model, optimizer, draw)
    return end_of(model, s)
