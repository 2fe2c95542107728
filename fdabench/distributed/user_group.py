"""The process group of a user's training loop: each rank is one worker.

fdabench does not start these processes and does not initialize their group. The loop may use the group for collectives
of its own between two steps.
"""

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from math import inf, isinf, nan
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import NamedTuple, TypeAlias, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from fdabench.core.collective import AllGatherCollective, AllReduceCollective, Collective, translate_dist_errors
from fdabench.distributed.process_group import JSON, SINGLE_PROCESS, ProcessGroup, Reduction, ValueCodec
from fdabench.errors import ProcessLostError

T = TypeVar("T")
UserGroup: TypeAlias = dist.ProcessGroup
"""A process group that the user's program has made."""


NAMESPACE = Path("/proc/self/ns/pid")
EXIT_GRACE_S = 2.0


class StepFlags(NamedTuple):
    """What the ranks agreed on before a step."""

    any_active: bool
    """Whether at least one rank makes a step of its optimizer; the others have no batch left."""
    lr: float
    """The largest learning rate of the active ranks; NaN if their optimizers have none."""


FLAG_BYTES = 16
"""Bytes of the message of `agree_on_step`: two float64 numbers."""


@dataclass(frozen=True)
class UserProcessGroup:
    """A rank of a group that the user's program has initialized.

    Args:
        rank: of this process within the group.
        size: the number of ranks.
        device: where the backend of the group expects tensors.
        group: None: the default process group.
        reduction: how rows are averaged.
        codec: of messages that are not tensors.
    """

    rank: int
    size: int
    device: torch.device
    group: dist.ProcessGroup | None = None
    reduction: Reduction = "ordered"
    codec: ValueCodec = JSON
    check_consistency: bool = field(default=False, init=False)
    network_interface: str = field(default="", init=False)

    def barrier(self) -> None:
        with translate_dist_errors():
            dist.barrier(group=self.group)

    def local_workers(self, workers: int) -> range:
        return range(self.rank, self.rank + 1)

    def make_collective(self, share_K: Tensor) -> Collective:
        kind = AllGatherCollective if self.reduction == "ordered" else AllReduceCollective
        return kind(share_K, (1,) * self.size, self.rank, self.group)

    def broadcast(self, make: Callable[[], T]) -> T:
        return self.all_gather(make() if self.rank == 0 else None)[0]  # type: ignore[return-value]

    def gather(self, value: T) -> list[T]:
        values = self.all_gather(value)
        return values if self.rank == 0 else []

    def all_gather(self, value: T) -> list[T]:
        content = torch.frombuffer(bytearray(self.codec.encode(value)), dtype=torch.uint8).to(self.device)
        sizes = [torch.zeros(1, dtype=torch.int64, device=self.device) for _ in range(self.size)]
        with translate_dist_errors():
            dist.all_gather(sizes, torch.tensor([len(content)], device=self.device), group=self.group)
        lengths = [int(size) for size in sizes]
        # `all_gather` needs tensors of the same shape from all ranks
        padded = nn.functional.pad(content, (0, max(lengths) - len(content)))
        buffers = [torch.empty_like(padded) for _ in sizes]
        with translate_dist_errors():
            dist.all_gather(buffers, padded, group=self.group)
        contents = [message[:size].cpu().numpy().tobytes() for message, size in zip(buffers, lengths, strict=True)]
        # the other ranks send what this one sends, so the types are equal
        return cast(list[T], [self.codec.decode(content) for content in contents])


def user_process_group(
    group: dist.ProcessGroup | None, reduction: Reduction, device: torch.device, codec: ValueCodec = JSON
) -> ProcessGroup:
    """The group of a user's loop; a single process if no process group is initialized or it has one rank.

    Args:
        group: of the user's; None: the default group.
        reduction: how rows are averaged.
        device: of the model.
        codec: of messages that are not tensors.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size(group) == 1:
        return SINGLE_PROCESS
    return UserProcessGroup(dist.get_rank(group), dist.get_world_size(group), device, group, reduction, codec)


def agree_on_step(group: ProcessGroup, active: bool, lr: float) -> StepFlags:
    """Agree with the other ranks on whether there is another step, by an all-reduce of `FLAG_BYTES` bytes.

    Args:
        group: of the loop.
        active: whether this rank makes a step of its optimizer.
        lr: its learning rate; NaN where the optimizer has none.

    Raises:
        ProcessLostError: another rank does not respond.
    """
    if not isinstance(group, UserProcessGroup):
        return StepFlags(active, lr)
    has_lr = active and lr == lr
    flags = torch.tensor([float(active), lr if has_lr else -inf], dtype=torch.float64, device=group.device)
    with translate_dist_errors():
        dist.all_reduce(flags, dist.ReduceOp.MAX, group=group.group)
    most, highest = flags.tolist()
    return StepFlags(most > 0, nan if isinf(highest) else highest)


def broadcast_tensor(group: ProcessGroup, x: Tensor) -> None:
    """Replace the tensor by that of rank 0, in place.

    Raises:
        ProcessLostError: another rank does not respond.
    """
    if isinstance(group, UserProcessGroup):
        with translate_dist_errors():
            dist.broadcast(x, group=group.group, group_src=0)


def unwrap_model(model: nn.Module) -> nn.Module:
    """The module within DistributedDataParallel, whose parameters have their own names; any other model itself."""
    return model.module if isinstance(model, DistributedDataParallel) else model


@contextmanager
def local_gradients(model: nn.Module) -> Iterator[None]:
    """Leave the gradients of a model in DistributedDataParallel with their rank, by its `no_sync`.

    Its forward pass broadcasts no buffers either, because a rank may make fewer passes than the others. Both settings
    of the model are restored at the end.
    """
    if not isinstance(model, DistributedDataParallel):
        yield
        return
    before = model.require_forward_param_sync
    model.require_forward_param_sync = False
    try:
        with model.no_sync():
            yield
    finally:
        model.require_forward_param_sync = before


def wrapper_fault(model: nn.Module) -> str:
    """Why the parameters of a model cannot be averaged by fdabench, and the remedy; empty if they can."""
    for module in unwrap_model(model).modules():
        if isinstance(module, DistributedDataParallel):
            return (
                "model: a module within it is in DistributedDataParallel, which averages the gradients of that part at "
                "every step; wrap the whole model, or pass it without DistributedDataParallel"
            )
        if isinstance(module, FSDPModule) or type(module).__name__ == "FullyShardedDataParallel":
            return _sharded(type(module).__name__)
    if any(isinstance(parameter, DTensor) for parameter in model.parameters()):
        return _sharded("a parallel style of DTensor")
    return ""


def _sharded(what: str) -> str:
    return (
        f"model: {what} shards its parameters over the ranks, so no rank has a model of its own whose drift a monitor "
        "could measure; train the model without it"
    )


class RankPlace(NamedTuple):
    """The process of a rank."""

    pid: int
    host: str
    pid_namespace: int
    """Process ids can be compared within one namespace of one host only; 0 where the system has none."""


def gather_places(group: ProcessGroup) -> tuple[RankPlace, ...]:
    """The process of each rank, in rank order."""
    namespace = NAMESPACE.stat().st_ino if NAMESPACE.exists() else 0
    places = group.all_gather((os.getpid(), platform.node(), namespace))
    return tuple(RankPlace(pid, host, namespace) for pid, host, namespace in places)


@dataclass(frozen=True)
class LostRankNames(AbstractContextManager[None]):
    """Adds to a `ProcessLostError` which ranks have exited: those of this host whose process is gone.

    Whether a process of another host is alive is not known here. The message says so. The context may be entered
    again and again, so that a training loop makes no object in each step.

    Args:
        group: of the loop.
        places: the process of each rank, in rank order.
    """

    group: ProcessGroup
    places: Sequence[RankPlace]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, ProcessLostError):
            return
        group, places = self.group, self.places
        lost = _wait_for_exits(group, places)
        names = ", ".join(
            f"rank {rank} of {group.size} (pid {places[rank].pid} on {places[rank].host})" for rank in lost
        )
        hint = "every process of this host is alive; look at those of the other hosts, or give a longer timeout"
        raise ProcessLostError(f"{f'{names} has exited' if lost else hint}: {error}") from error


def _wait_for_exits(group: ProcessGroup, places: Sequence[RankPlace]) -> list[int]:
    """The ranks of this host that have exited. A connection may close a moment before its process is gone."""
    own_place, deadline = places[group.rank], monotonic() + EXIT_GRACE_S
    near = [rank for rank, place in enumerate(places) if place[1:] == own_place[1:]]
    while not (lost := [rank for rank in near if not _is_alive(places[rank].pid)]) and monotonic() < deadline:
        sleep(0.05)
    return lost


def _is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        # a process that its parent has not waited for still has an entry, with the state Z
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
