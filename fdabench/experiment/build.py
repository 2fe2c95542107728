"""Builds the model, data, samplers and channel of a cell from its configuration.

`experiment.train` calls `build_cell` and `build_training`. Shape suffix: K = workers held by this process.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fdabench.cell_config import CellConfig, ValidationConfig, canonical_json
from fdabench.core.channel import Channel, HasDriftFactors, LossyMessages, no_instrumentation
from fdabench.core.counter_rng import UINT32_MASK
from fdabench.core.ledger import Ledger
from fdabench.core.seeds import derive_seed, numpy_generator
from fdabench.core.strategy import Strategy
from fdabench.datasets.base import DatasetTensors
from fdabench.distributed.consistency import make_consistency_check
from fdabench.distributed.process_group import SINGLE_PROCESS, ProcessGroup, split_evenly
from fdabench.distributed.traffic_meter import TrafficMeter
from fdabench.engine.arrays import LabeledData
from fdabench.engine.clients import Clients
from fdabench.engine.sampling import RemappedSampler, Sampler
from fdabench.engine.workers import GradientFnFactory, TrainingConfig, WorkerGroup
from fdabench.errors import PartitionError, WorkloadError
from fdabench.experiment.build_clients import client_sampler, dropout_seed, first_group, local_steps, make_clients
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.models.base import init_model
from fdabench.partitions.base import Indices, SplitsByOwner
from fdabench.registry.build_component import held_out_samples
from fdabench.registry.registry import BUILT_IN, Registry


class CellSetup(NamedTuple):
    """Everything that one process needs to train a cell."""

    data: DatasetTensors
    examples: LabeledData
    """The training samples of the workers held by this process."""
    held_out: LabeledData
    """The samples that models are evaluated on: the test set, or the validation split if the suite has one."""
    held_out_owners: Tensor | None
    """Who each of these samples belongs to, int64 of shape [N]; None if the results have nothing by owner."""
    shards: list[Indices]
    """The training samples of each worker of all processes, or of each client, as indices."""
    group: WorkerGroup
    """The workers held by this process."""
    strategy: Strategy
    channel: Channel
    budget: int
    """Local steps at most."""
    eval_period: Fraction
    """Local steps between evaluations."""
    epoch: Fraction
    """Local steps in a nominal epoch."""
    process_group: ProcessGroup
    """The processes that hold the workers."""
    wire: TrafficMeter | None = None
    """Measures the messages between the processes; None with one process."""
    clients: Clients | None = None
    """The clients of which some train in each round."""


def build_cell(cell: ResolvedCell, data: DatasetTensors, process_group: ProcessGroup = SINGLE_PROCESS) -> CellSetup:
    """Build what one process of a group needs to train a cell.

    Args:
        cell: the cell, with the components that it names.
        data: its data set, on the device to train on.
        process_group: the processes that hold its workers.

    Raises:
        WorkloadError: a worker is left without a batch, pretrained weights are not there, or the suite asks for the
            worst tenth of owners, and the samples have no owners.
        PartitionError: the samples cannot be divided among the workers as configured.
    """
    config, seeds, device = cell.config, cell.seeds, data.train_x.device
    model = init_model(cell.model, data.shape, data.classes, seeds["weights"]).to(device)
    shards = partition_data(cell, data)
    local = process_group.local_workers(config.workers)
    clients: Clients | None = None
    factors: HasDriftFactors | None
    if config.participation is None:
        examples, samplers = _local_data(data, shards, make_samplers(cell, shards), local)
        factors = steps = local_steps(config)
        group = WorkerGroup(model, samplers, [dropout_seed(cell, k) for k in local], steps and steps.rows(local))
    else:
        factors = clients = make_clients(cell, config.participation, shards, model, process_group)
        examples, group = LabeledData(data.train_x, data.train_y), first_group(clients, model)
    ledger = Ledger()
    consistency_check = make_consistency_check(config.strategy.kind, ledger, process_group)
    ranks = process_group.size
    wire = TrafficMeter(process_group, ledger, split_evenly(config.workers, ranks)) if ranks > 1 else None
    weight_N = averaging_weights(config, shards).to(device)
    averaging = process_group.make_collective(weight_N)
    codec_seed = derive_seed("codec", {"noise": seeds["noise"]}) & UINT32_MASK
    loss = message_loss(config, weight_N)
    channel = Channel(
        averaging,
        ledger,
        consistency_check,
        wire or no_instrumentation,
        codec_seed,
        loss,
        factors if config.averaging == "steps" else None,
        config.workers / config.clients,
    )
    return CellSetup(
        data,
        examples,
        *_evaluation_data(config, data),
        shards,
        group,
        cell.strategy,
        channel,
        cell.budget_steps,
        cell.eval_period,
        cell.steps_per_epoch,
        process_group,
        wire,
        clients,
    )


def build_training(cell: ResolvedCell, setting: CellSetup, engine: GradientFnFactory) -> TrainingConfig:
    """Return the settings that all cells with the same `batch_key` share.

    Args:
        cell: one of the cells.
        setting: of that cell, from `build_cell`.
        engine: computes gradients.
    """
    return TrainingConfig(
        setting.group.start,
        cell.optimizer,
        setting.examples,
        engine,
        cell.config.precision,
        cell.model.kernel_l2,
        cell.config.batchnorm_stats,
        cell.budget_steps,
    )


def batch_key(config: CellConfig, registry: Registry = BUILT_IN) -> str:
    """Return a text that is equal for cells that can be one batch, with their workers as rows of a matrix.

    Args:
        config: of a cell.
        registry: the components that it names.
    """
    axes = {"dataset", "model", "batch_size", "optimizer", "precision", "batchnorm_stats"}
    if config.optimizer.component("schedule") is not None:
        # a scheduled learning rate depends on the number of local steps, which these axes determine
        axes |= {"budget", "workers", "eval"}
    if registry.models[config.model].frozen_base is not None:
        # the workers of a batch share the frozen parameters, which the seed may draw
        axes |= {"seed"}
    return canonical_json(config.model_dump(include=axes, exclude_none=True))


def partition_data(cell: ResolvedCell, data: DatasetTensors) -> list[Indices]:
    """Return the training samples of each worker, as indices into the training set, without the validation split.

    Raises:
        PartitionError: a worker is left without samples.
    """
    config, rule = cell.config, cell.partition
    labels, rng = partition_labels(cell, data), numpy_generator(cell.seeds["partition"])
    if config.eval.validation is not None:
        held_out = validation_indices(config, config.eval.validation, len(labels), data.train_owners)
        learned = np.delete(np.arange(len(labels)), held_out)
        shards = [learned[shard] for shard in rule.split(labels[learned], config.clients, rng)]
    else:
        shards = rule.split(labels, config.clients, rng)
    empty = [worker for worker, shard in enumerate(shards) if len(shard) == 0]
    if empty:
        raise PartitionError(f"{config.partition.kind} left worker {empty[0]} without samples: take fewer workers")
    return shards


def partition_labels(cell: ResolvedCell, data: DatasetTensors) -> Indices:
    """Return what the partition of a cell splits the training samples by, shape [N]: their classes or their owners.

    Raises:
        PartitionError: the partition needs owners, and the data set has none.
    """
    if isinstance(cell.partition, SplitsByOwner) and data.train_owners is None:
        raise PartitionError(
            f"partition {cell.config.partition.kind!r} needs samples with owners, and {cell.config.dataset} has none: "
            "use another partition, or a data set with owners, such as 'shakespeare'"
        )
    if isinstance(cell.partition, SplitsByOwner) or data.task == "next-token":
        return sample_owners(data)
    labels: Indices = data.train_y.numpy(force=True)
    return labels


def sample_owners(data: DatasetTensors) -> Indices:
    """Return the owner of each training sample, shape [N]; 0 if the data set has no owners."""
    if data.train_owners is None:
        return np.zeros(len(data.train_y), dtype=np.int64)
    owners: Indices = data.train_owners.numpy(force=True)
    return owners


def validation_indices(
    config: CellConfig, split: ValidationConfig, train_samples: int, owners: Tensor | None = None
) -> Indices:
    """Return the sorted indices of the validation split, drawn from the data set and the seed of the split only.

    Args:
        config: of the cell.
        split: the share of the training set, and the seed.
        train_samples: the size of the training set.
        owners: who each training sample belongs to. Owners are drawn whole, so that no worker learns from samples of
            an owner on whose samples the model is evaluated. The split has the number of owners that brings it closest
            to its share.

    Raises:
        WorkloadError: there is only one owner.
    """
    rng = numpy_generator(derive_seed("validation", {"dataset": config.dataset, "seed": split.seed}))
    if owners is not None:
        return _whole_owners(owners.numpy(force=True), held_out_samples(config.eval, train_samples), rng)
    return np.sort(rng.permutation(train_samples)[: held_out_samples(config.eval, train_samples)])


def _whole_owners(owners_N: Indices, num_samples: int, rng: np.random.Generator) -> Indices:
    """The sorted indices of about `num_samples` samples of randomly drawn owners. At least one owner is not drawn."""
    names, sizes = np.unique(owners_N, return_counts=True)
    if len(names) < 2:
        raise WorkloadError("eval.validation: all training samples have one owner, and owners are never split")
    order = rng.permutation(len(names))
    totals = np.cumsum(sizes[order])[:-1]
    selected = order[: int(np.abs(totals - num_samples).argmin()) + 1]
    return np.flatnonzero(np.isin(owners_N, names[selected]))


def evaluation_indices(config: CellConfig, samples: int, test_samples: int) -> Indices:
    """Return the sorted indices of a subset of the test set, drawn from the data set and the seed of the cell only.

    All strategies of a seed are therefore evaluated on the same samples.

    Args:
        config: of the cell.
        samples: the size of the subset.
        test_samples: the size of the test set.

    Raises:
        WorkloadError: the test set is smaller than the subset.
    """
    if samples > test_samples:
        raise WorkloadError(
            f"eval.samples: {samples} samples, but the test set of {config.dataset} has {test_samples}; use at most "
            "that many, or leave the key out"
        )
    rng = numpy_generator(derive_seed("evaluation", {"dataset": config.dataset, "seed": config.seed}))
    return np.sort(rng.permutation(test_samples)[:samples])


def _evaluation_data(config: CellConfig, data: DatasetTensors) -> tuple[LabeledData, Tensor | None]:
    """The samples that models are evaluated on, and their owners if `eval.worst_decile` needs them."""
    split = config.eval.validation
    samples, owners_N = LabeledData(data.test_x, data.test_y), data.test_owners
    if split is not None:
        samples, owners_N = LabeledData(data.train_x, data.train_y), data.train_owners
    if not config.eval.worst_decile:
        owners_N = None
    elif owners_N is None:
        raise WorkloadError(
            f"eval.worst_decile: the samples of {config.dataset} have no owners; leave the key out, or use data with "
            "owners, such as 'shakespeare'"
        )
    if split is not None:
        indices = validation_indices(config, split, len(data.train_y), data.train_owners)
    elif config.eval.samples is not None:
        indices = evaluation_indices(config, config.eval.samples, len(data.test_y))
    else:
        return samples, owners_N
    at = torch.from_numpy(indices)
    return samples.select(at.to(samples.x.device)), None if owners_N is None else owners_N[at]


def make_samplers(cell: ResolvedCell, shards: list[Indices]) -> list[Sampler]:
    """Return one sampler for each worker or client, each with its own generator."""
    return [client_sampler(cell, shard, worker, None) for worker, shard in enumerate(shards)]


def _local_data(
    data: DatasetTensors, shards: list[Indices], samplers: list[Sampler], local: range
) -> tuple[LabeledData, Sequence[Sampler]]:
    """The samples of the workers held by this process, and their samplers; copied only if some are left out."""
    if len(local) == len(shards):
        return LabeledData(data.train_x, data.train_y), samplers
    own_indices = np.unique(np.concatenate([shards[k] for k in local]))
    place = np.zeros(len(data.train_y), dtype=np.int64)
    place[own_indices] = np.arange(len(own_indices))
    at = torch.from_numpy(own_indices).to(data.train_x.device)
    return LabeledData(data.train_x, data.train_y).select(at), [RemappedSampler(samplers[k], place) for k in local]


def message_loss(config: CellConfig, weight_N: Tensor) -> LossyMessages | None:
    """Return which messages are lost, given the averaging weights of all workers; None if all arrive."""
    lossy = config.message_loss
    return None if lossy is None else LossyMessages(lossy.probability, lossy.quorum, config.seed, weight_N)


def averaging_weights(config: CellConfig, shards: list[Indices]) -> Tensor:
    """Return the averaging weights of the workers, shape [K], with sum 1. Clients that are drawn have equal weights."""
    if config.participation is not None:
        return torch.full((config.workers,), 1 / config.workers)
    sizes_K = torch.tensor([float(len(shard)) for shard in shards])
    weights_K = sizes_K if config.averaging == "samples" else torch.ones_like(sizes_K)
    return weights_K / weights_K.sum()
