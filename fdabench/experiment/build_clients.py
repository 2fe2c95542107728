"""Builds what a worker or a client of a cell has of its own: its sampler, its seed of dropout, its speed.

`experiment.build` uses it for cells whose workers stay the same and for those whose clients take turns.
"""

from collections.abc import Sequence

import numpy as np
from torch import nn

from fdabench.cell_config import CellConfig, ParticipationConfig
from fdabench.core.schedule import LocalSteps, lognormal_speeds, parse_speeds, uniform_speeds
from fdabench.core.seeds import derive_seed, numpy_generator
from fdabench.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from fdabench.engine.clients import (
    AvailabilityLaw,
    AvailabilityTrace,
    ClientDraw,
    Clients,
    HasRoundsUntil,
    steps_of_rows,
)
from fdabench.engine.flatten import flatten, running_stats
from fdabench.engine.sampling import IndependentBatchSampler, Sampler, ShuffleSampler
from fdabench.engine.workers import WorkerGroup
from fdabench.errors import WorkloadError
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.partitions.base import Indices


def make_clients(
    cell: ResolvedCell,
    participation: ParticipationConfig,
    shards: Sequence[Indices],
    model: nn.Module,
    process_group: ProcessGroup = SINGLE_PROCESS,
) -> Clients:
    """Return the clients of a cell, of which `workers` train in each round."""
    keep = participation.client_state == "kept"
    sizes_N = np.array([len(shard) for shard in shards], dtype=np.float64)
    seed = cell.seeds["batches"]
    draw = ClientDraw(
        participation.clients,
        cell.config.workers,
        seed,
        sizes_N if participation.choose == "samples" else None,
        _availability(cell, participation, seed),
    )

    def make_sampler(client: int, index: int) -> Sampler:
        return client_sampler(cell, shards[client], client, None if keep else index)

    running = flatten(list(running_stats(model).values()))
    local = cell.config.batchnorm_stats == "local" and running.numel() > 0
    return Clients(
        draw,
        make_sampler,
        lambda client: dropout_seed(cell, client),
        keep,
        running if local else None,
        local_rows=process_group.local_workers(cell.config.workers),
        exchange=process_group.all_gather,
        local_steps=local_steps(cell.config),
    )


def first_group(clients: Clients, model: nn.Module) -> WorkerGroup:
    """The clients of the first round that train in this process."""
    rows = [clients.first_row(client, 0) for client in clients.present(0)]
    return WorkerGroup(model, [row.sampler for row in rows], [row.noise for row in rows], steps_of_rows(rows))


def _availability(cell: ResolvedCell, participation: ParticipationConfig, seed: int) -> HasRoundsUntil | None:
    """When the clients of a cell are available; None: always.

    Raises:
        WorkloadError: this process has not read the trace of the cell.
    """
    law, clients = participation.availability, participation.clients
    if law is None:
        return None
    if law.trace is None:
        return AvailabilityLaw.draw(law.share or 1.0, law.period, clients, seed)
    trace = cell.registry.availability.get(law.trace)
    if trace is None:
        read = ", ".join(cell.registry.availability) or "none"
        raise WorkloadError(
            f"participation.availability.trace: the cell needs {law.trace}, and this process has read {read}; give all "
            "processes the same file"
        )
    return AvailabilityTrace(trace.client_M, trace.start_M, trace.stop_M, law.period, clients)


def local_steps(config: CellConfig) -> LocalSteps | None:
    """Return the local steps of slow workers, or of all clients if they take turns; None if all are equally fast."""
    speeds, workers = config.speeds, config.clients
    if speeds is None:
        return None
    if speeds.values is not None:
        pattern = parse_speeds(speeds.values)
        return LocalSteps(tuple(pattern[worker % len(pattern)] for worker in range(workers)))
    if speeds.lowest is not None:
        return LocalSteps(uniform_speeds(workers, speeds.lowest, config.seed))
    return LocalSteps(lognormal_speeds(workers, speeds.sigma or 0.0, config.seed))


def dropout_seed(cell: ResolvedCell, worker: int) -> int:
    """The seed of the dropout masks of a worker or client."""
    return derive_seed("worker", {"noise": cell.seeds["noise"], "worker": worker})


def client_sampler(cell: ResolvedCell, shard: Indices, worker: int, index: int | None) -> Sampler:
    """The sampler of a worker or client; with `index`, one that depends on the round as well."""
    config = cell.config
    axes = {"batches": cell.seeds["batches"], "worker": worker} | ({} if index is None else {"round": index})
    rng = numpy_generator(derive_seed("worker", axes))
    if config.sampling == "replacement":
        return IndependentBatchSampler(shard, config.batch_size, rng)
    return ShuffleSampler(shard, config.batch_size, config.last_batch, rng)
