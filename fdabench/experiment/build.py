"""From a cell's configuration to everything that takes part in it. Shape suffix: K = workers held by this process."""

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fdabench.core.channel import Channel, no_instrumentation
from fdabench.core.ledger import Ledger
from fdabench.core.seeds import derive_seed, numpy_generator
from fdabench.core.strategy import Strategy
from fdabench.datasets.base import DatasetTensors
from fdabench.distributed.consistency import make_consistency_check
from fdabench.distributed.process_group import SINGLE_PROCESS, ProcessGroup, split_evenly
from fdabench.distributed.traffic_meter import TrafficMeter
from fdabench.engine.arrays import LabeledData
from fdabench.engine.sampling import IndependentBatchSampler, Indices, RemappedSampler, Sampler, ShuffleSampler
from fdabench.engine.workers import GradientFnFactory, TrainingConfig, WorkerGroup
from fdabench.errors import PartitionError
from fdabench.models.base import count_parameters, init_model
from fdabench.registry.build_component import CellScale, build_component, held_out_samples, to_steps
from fdabench.registry.registry import BUILT_IN, Registry

Config = Mapping[str, Any]

# the axes that each draw may depend on: never the strategy, its theta or its optimizer
SEED_AXES: Mapping[str, tuple[str, ...]] = {
    "weights": ("seed", "dataset", "model"),
    "noise": ("seed", "dataset", "model"),
    "partition": ("seed", "dataset", "partition", "workers"),
    "batches": ("seed", "dataset", "partition", "workers", "batch_size", "sampling", "last_batch"),
    "sketch": ("seed", "dataset", "model"),
}


class CellSetup(NamedTuple):
    """A cell about to begin."""

    data: DatasetTensors
    examples: LabeledData
    """Of the training set, those that the workers held here learn from."""
    held_out: LabeledData
    """What models are evaluated on: the test set, or the validation split where the suite has one."""
    shards: list[Indices]
    """Of all workers."""
    crew: WorkerGroup
    """The workers held here."""
    strategy: Strategy
    channel: Channel
    budget: int
    """Local steps at most."""
    eval_period: Fraction
    """Local steps between evaluations."""
    epoch: Fraction
    """Local steps in a nominal epoch."""
    team: ProcessGroup
    """The processes that hold the workers."""
    wire: TrafficMeter | None = None
    """What watches over what crosses between them, where there are several."""


def steps_per_epoch(config: Config, registry: Registry = BUILT_IN) -> Fraction:
    """Local steps of each worker in a nominal epoch; not rounded."""
    return Fraction(train_samples_of(config, registry), config["workers"] * config["batch_size"])


def train_samples_of(config: Config, registry: Registry = BUILT_IN) -> int:
    """Samples that the workers learn from: the training set, without the validation split where there is one."""
    whole = registry.datasets[config["dataset"]].train_samples
    return whole - held_out_samples(config["eval"], whole)


def scale_of(config: Config, registry: Registry = BUILT_IN) -> CellScale:
    """What the strategy's spans, thresholds and seeds come to in this cell."""
    data = registry.datasets[config["dataset"]]
    parameters = count_parameters(registry.models[config["model"]], data.shape, data.classes)
    return CellScale(steps_per_epoch(config, registry), parameters, seeds_of(config)["sketch"])


def seeds_of(config: Config) -> dict[str, int]:
    return {use: derive_seed(use, {axis: config[axis] for axis in axes}) for use, axes in SEED_AXES.items()}


def budget_of(config: Config, registry: Registry = BUILT_IN) -> int:
    """Local steps of the budget; the step in which its last epoch ends is whole, so that the epoch is evaluated."""
    return ceil(to_steps(config["budget"], ("steps", "epochs"), steps_per_epoch(config, registry)))


def eval_period_of(config: Config, registry: Registry = BUILT_IN) -> Fraction:
    return to_steps(config["eval"], ("every_steps", "every_epochs"), steps_per_epoch(config, registry))


def strategy_of(config: Config, registry: Registry = BUILT_IN) -> Any:
    table = config["strategy"]
    return build_component(registry.strategies[table["kind"]], table, scale_of(config, registry), registry)


def resolved(config: Config, registry: Registry = BUILT_IN) -> dict[str, Any]:
    """What the configuration comes to in plain numbers."""
    strategy = strategy_of(config, registry)
    numbers = {
        "num_parameters": scale_of(config, registry).num_parameters,
        "train_samples": train_samples_of(config, registry),
        "steps_per_epoch": float(steps_per_epoch(config, registry)),
        "budget_steps": budget_of(config, registry),
    }
    return numbers | {key: float(getattr(strategy, key)) for key in ("theta", "period") if hasattr(strategy, key)}


def build_cell(
    config: Config, data: DatasetTensors, registry: Registry = BUILT_IN, team: ProcessGroup = SINGLE_PROCESS
) -> CellSetup:
    """What one process of the team needs of a cell; together they hold all of it.

    Raises:
        WorkloadError: a worker is left without a batch, or pretrained weights are not there.
        PartitionError: the samples cannot be shared out as asked.
    """
    seeds, device = seeds_of(config), data.train_x.device
    model = init_model(registry.models[config["model"]], data.shape, data.classes, seeds["weights"]).to(device)
    shards = partition_data(config, data, registry)
    held = team.local_workers(len(shards))
    noise = [derive_seed("worker", {"noise": seeds["noise"], "worker": k}) for k in held]
    examples, drawn = _local_data(data, shards, make_samplers(config, shards), held)
    ledger = Ledger()
    about = make_consistency_check(config["strategy"]["kind"], ledger, team)
    wire = TrafficMeter(team, ledger, split_evenly(len(shards), team.size)) if team.size > 1 else None
    averaging = team.make_collective(averaging_weights(config, shards).to(device))
    channel = Channel(averaging, ledger, about, wire or no_instrumentation)
    return CellSetup(
        data,
        examples,
        _evaluation_data(config, data),
        shards,
        WorkerGroup(model, drawn, noise),
        strategy_of(config, registry),
        channel,
        budget_of(config, registry),
        eval_period_of(config, registry),
        steps_per_epoch(config, registry),
        team,
        wire,
    )


def build_training(
    config: Config, setting: CellSetup, engine: GradientFnFactory, registry: Registry = BUILT_IN
) -> TrainingConfig:
    """What cells with the same `batch_key` have in common."""
    local = build_component(
        registry.optimizers[config["optimizer"]["kind"]], config["optimizer"], scale_of(config, registry), registry
    )
    return TrainingConfig(
        setting.crew.start,
        local,
        setting.examples,
        engine,
        config["precision"],
        registry.models[config["model"]].kernel_l2,
        config["batchnorm_stats"],
    )


def batch_key(config: Config) -> str:
    """Cells for which this is the same can be rows of one matrix of workers."""
    axes = ("dataset", "model", "batch_size", "optimizer", "precision", "batchnorm_stats")
    return json.dumps([config[axis] for axis in axes])


def partition_data(config: Config, data: DatasetTensors, registry: Registry = BUILT_IN) -> list[Indices]:
    """Each worker's training samples, as indices into the training set; none of them is in the validation split."""
    rule = build_component(
        registry.partitions[config["partition"]["kind"]], config["partition"], scale_of(config, registry), registry
    )
    labels, rng = data.train_y.numpy(force=True), numpy_generator(seeds_of(config)["partition"])
    if "validation" in config["eval"]:
        learned = np.delete(np.arange(len(labels)), validation_indices(config, len(labels)))
        shards = [learned[shard] for shard in rule.split(labels[learned], config["workers"], rng)]
    else:
        shards = rule.split(labels, config["workers"], rng)
    empty = [worker for worker, shard in enumerate(shards) if len(shard) == 0]
    if empty:
        raise PartitionError(
            f"{config['partition']['kind']} left worker {empty[0]} without samples: take fewer workers"
        )
    return shards


def validation_indices(config: Config, train_samples: int) -> Indices:
    """The training samples that are held out, in order; drawn uniformly, by the data set and the split's seed alone."""
    split = config["eval"]["validation"]
    rng = numpy_generator(derive_seed("validation", {"dataset": config["dataset"], "seed": split["seed"]}))
    return np.sort(rng.permutation(train_samples)[: held_out_samples(config["eval"], train_samples)])


def _evaluation_data(config: Config, data: DatasetTensors) -> LabeledData:
    if "validation" not in config["eval"]:
        return LabeledData(data.test_x, data.test_y)
    at = torch.from_numpy(validation_indices(config, len(data.train_y))).to(data.train_x.device)
    x = data.train_x.index_select(0, at).contiguous(memory_format=torch.channels_last)
    return LabeledData(x, data.train_y.index_select(0, at))


def make_samplers(config: Config, shards: list[Indices]) -> list[Sampler]:
    """One for each worker, each with a generator of its own."""
    size, seed = config["batch_size"], seeds_of(config)["batches"]
    generators = [numpy_generator(derive_seed("worker", {"batches": seed, "worker": k})) for k in range(len(shards))]
    if config["sampling"] == "replacement":
        return [IndependentBatchSampler(shard, size, rng) for shard, rng in zip(shards, generators, strict=True)]
    return [
        ShuffleSampler(shard, size, config["last_batch"], rng) for shard, rng in zip(shards, generators, strict=True)
    ]


def _local_data(
    data: DatasetTensors, shards: list[Indices], drawn: list[Sampler], held: range
) -> tuple[LabeledData, Sequence[Sampler]]:
    """The samples of the workers held here, and their samplers; a part is copied, the whole is what it was."""
    if len(held) == len(shards):
        return LabeledData(data.train_x, data.train_y), drawn
    mine = np.unique(np.concatenate([shards[k] for k in held]))
    place = np.zeros(len(data.train_y), dtype=np.int64)
    place[mine] = np.arange(len(mine))
    at = torch.from_numpy(mine).to(data.train_x.device)
    x = data.train_x.index_select(0, at).contiguous(memory_format=torch.channels_last)
    return LabeledData(x, data.train_y.index_select(0, at)), [RemappedSampler(drawn[k], place) for k in held]


def averaging_weights(config: Config, shards: list[Indices]) -> Tensor:
    """Averaging weights, shape [K], summing to one."""
    sizes_K = torch.tensor([float(len(shard)) for shard in shards])
    weights_K = sizes_K if config["averaging"] == "samples" else torch.ones_like(sizes_K)
    return weights_K / weights_K.sum()
