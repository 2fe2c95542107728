"""How the cells of a run are executed, as one record that is made once and passed to every process of the run.

`execution.preflight.make_context` makes it from the options of the user.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from fdabench.distributed.process_group import Reduction
from fdabench.distributed.rendezvous import LEADER, Rendezvous
from fdabench.experiment.checkpoint.file import DEFAULT_INTERVAL_S


class DistributedConfig(NamedTuple):
    """The processes of each cell: their number, how they average, and how long they wait for each other.

    It is not part of `ExecutionConfig` itself because it does not exist where one process holds all workers of a cell.
    """

    size: int
    mean: Reduction
    timeout_s: float
    external_rendezvous: Rendezvous | None = None
    """The rendezvous of processes that another program has started, such as torchrun; None: this run starts them."""
    hosts_store: bool = False
    """Whether this process serves the store of that rendezvous."""
    wire: str = ""
    """The network interface whose byte counters are read around each collective; empty: none."""
    rank: int = LEADER
    """Of this process."""

    @property
    def is_rank_zero(self) -> bool:
        return self.rank == LEADER


@dataclass(frozen=True)
class ExecutionConfig:
    """The device, the engine and the other settings that the cells of a run are executed with.

    Args:
        device: that a process computes on. A rank replaces it by its own device.
        engine: a name in `engine.gradients.selection.ENGINES`.
        jobs: cells or batches that run at the same time, at most.
        threads: of each process. With another number sums are rounded in another order.
        cells_per_batch: cells that are computed as one batch, at most.
        checkpoint_s: seconds between the checkpoints of a cell, at least.
        distributed: the ranks of each cell; None where one process holds all workers of a cell.
        save_model: whether the folder of each cell gets the model of its last evaluation, as `model.pt`.
    """

    device: torch.device
    engine: str
    jobs: int = 1
    threads: int = 1
    cells_per_batch: int = 1
    checkpoint_s: float = DEFAULT_INTERVAL_S
    distributed: DistributedConfig | None = None
    save_model: bool = False

    @property
    def reduction(self) -> Reduction:
        """How processes average; `ordered` has the bits of one process."""
        return "ordered" if self.distributed is None else self.distributed.mean

    @property
    def network_interface(self) -> str:
        """The network interface whose byte counters are read; empty: none."""
        return "" if self.distributed is None else self.distributed.wire

    @property
    def has_external_group(self) -> bool:
        """Whether another program, such as torchrun, has started the ranks."""
        return self.distributed is not None and self.distributed.external_rendezvous is not None
