"""Determines what `fdabench inspect --model` prints: the size of a model, its layers, and whether engines agree."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import torch

from fdabench.cell_config import CellConfig, ComponentConfig, Scalar
from fdabench.datasets.base import DatasetSpec, DatasetTensors
from fdabench.engine.dropout_keys import dropout_layers
from fdabench.engine.flatten import running_stats
from fdabench.engine.gradients.selection import ENGINES
from fdabench.errors import WorkloadError
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.train import CellJob, TrainingResult, train_cells
from fdabench.models.base import ModelSpec, Shape, init_model
from fdabench.models.shape_check import shape_error
from fdabench.registry.registry import BUILT_IN

STEPS, SAMPLES = 2, 16
"""Local steps of the training, and samples of the random data set."""
TOLERANCE = 1e-3
"""The largest relative difference between the training losses of engines that agree; their rounding differs."""


class ModelFacts(NamedTuple):
    """The properties of a model.

    Args:
        parameters: the number of trainable parameters.
        frozen: the number of parameters that are not trained.
        statistics: the number of running statistics, for example of batch normalization. They are averaged at a sync
            only if the workload has `batchnorm_stats = "averaged"`.
        tied: the names of parameters that share memory with an earlier parameter; bytes count them once.
        dropout: the number of dropout layers.
        losses: the training loss after `STEPS` steps, by engine.
        errors: the error messages of the engines that cannot train the model, by engine.
    """

    parameters: int
    frozen: int
    statistics: int
    tied: list[str]
    dropout: int
    losses: Mapping[str, float]
    errors: Mapping[str, str]

    @property
    def engines_agree(self) -> bool:
        """Whether every engine trains the model to the same loss, up to rounding."""
        losses = list(self.losses.values())
        return not self.errors and max(losses) - min(losses) <= TOLERANCE * max(1.0, abs(losses[0]))


def inspect_model(spec: ModelSpec, shape: Shape, classes: int) -> ModelFacts:
    """Build a model, count its parameters and layers, and train it with each engine on random inputs.

    Args:
        spec: the model.
        shape: the shape of one input, [channels, height, width] of an image or [T] of a sequence.
        classes: the number of outputs.

    Raises:
        WorkloadError: the model cannot be built, or does not accept inputs of this shape.
    """
    try:
        fault = shape_error(spec, shape, classes)
        model = init_model(spec, shape, classes, 0)
    except WorkloadError:
        raise
    except Exception as error:  # models of other libraries raise errors of any class
        fault = f"{type(error).__name__}: {error!s:.200}"
    if fault:
        raise WorkloadError(f"the model does not accept inputs of shape {list(shape)}: {fault}")
    distinct = {name for name, _ in model.named_parameters()}
    tied = [name for name, _ in model.named_parameters(remove_duplicate=False) if name not in distinct]
    losses, errors = _train(spec, shape, classes)
    return ModelFacts(
        sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        sum(parameter.numel() for parameter in model.parameters() if not parameter.requires_grad),
        sum(buffer.numel() for buffer in running_stats(model).values()),
        tied,
        len(dropout_layers(model)),
        losses,
        errors,
    )


def _train(spec: ModelSpec, shape: Shape, classes: int) -> tuple[dict[str, float], dict[str, str]]:
    """Train a model with two workers; return the training losses and the error messages, by engine."""
    generator = torch.Generator().manual_seed(0)
    if spec.task == "next-token":
        x, y = (torch.randint(classes, (SAMPLES, *shape), generator=generator) for _ in range(2))
    else:
        x, y = torch.randn(SAMPLES, *shape, generator=generator), torch.arange(SAMPLES) % classes
    data = DatasetTensors(x, y, x, y, classes)
    random = DatasetSpec(lambda root: data, SAMPLES, shape, classes, "random inputs", task=spec.task)
    registry = replace(BUILT_IN, datasets={"random": random}, models={"model": spec})
    defaults: dict[str, Scalar] = {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "state_on_sync": "keep"}
    config = CellConfig.from_table(
        {
            "dataset": "random",
            "model": "model",
            "workers": 2,
            "batch_size": 4,
            "optimizer": ComponentConfig("sgd", {"lr": 0.01, **defaults}),
            "partition": {"kind": "iid"},
            "sampling": "shuffle",
            "last_batch": "wrap",
            "averaging": "uniform",
            "precision": "fp32",
            "batchnorm_stats": "local",
            "strategy": {"kind": "synchronous"},
            "budget": {"steps": STEPS},
            "eval": {"every_steps": STEPS},
            "seed": 0,
        }
    )
    losses, errors = {}, {}
    for name, engine in ENGINES.items():
        job = CellJob("0" * 12, ResolvedCell(config, registry))
        (outcome,) = train_cells([job], data.to(torch.device("cpu")), engine)
        if isinstance(outcome, TrainingResult):
            losses[name] = float(str(outcome.tables["evals"][-1]["train_loss"]))
        else:
            errors[name] = f"{type(outcome).__name__}: {str(outcome).partition(chr(10))[0]:.200}"
    return losses, errors
