"""What `fdabench inspect --model` finds out about a model: its size, its layers, and whether both engines agree."""

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
TOLERANCE = 1e-3
"""The largest relative difference between the training losses of two engines that agree: both round differently."""


class ModelFacts(NamedTuple):
    """What was found.

    Args:
        parameters: the number of trainable parameters.
        frozen: the number of parameters that are not trained.
        statistics: the number of running statistics, as of batch normalization. They are averaged with a sync only if
            the workload has `batchnorm_stats = "averaged"`.
        tied: names of parameters that share memory with another parameter; the bytes count them once.
        dropout: the number of dropout layers.
        losses: the training loss after two steps by engine.
        errors: the message of each engine that cannot train the model.
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
    """Build a model, count its parts, and train it for two steps with each engine on random inputs.

    Args:
        spec: the model.
        shape: the shape of one input, [channels, height, width] of an image or [T] of a sequence.
        classes: the number of outputs.

    Raises:
        WorkloadError: the model cannot be built, or does not take such images.
    """
    try:
        fault = shape_error(spec, shape, classes)
        model = init_model(spec, shape, classes, 0)
    except WorkloadError:
        raise
    except Exception as error:  # a model of another library raises errors of any class
        fault = f"{type(error).__name__}: {error!s:.200}"
    if fault:
        raise WorkloadError(f"the model does not take inputs of shape {list(shape)}: {fault}")
    distinct = {name for name, _ in model.named_parameters()}
    tied = [name for name, _ in model.named_parameters(remove_duplicate=False) if name not in distinct]
    losses, errors = _trained(spec, shape, classes)
    return ModelFacts(
        sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        sum(parameter.numel() for parameter in model.parameters() if not parameter.requires_grad),
        sum(buffer.numel() for buffer in running_stats(model).values()),
        tied,
        len(dropout_layers(model)),
        losses,
        errors,
    )


def _trained(spec: ModelSpec, shape: Shape, classes: int) -> tuple[dict[str, float], dict[str, str]]:
    """The training loss after two steps of two workers, or the error, by engine."""
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
        (done,) = train_cells([CellJob("0" * 12, ResolvedCell(config, registry))], data.to(torch.device("cpu")), engine)
        if isinstance(done, TrainingResult):
            losses[name] = float(str(done.tables["evals"][-1]["train_loss"]))
        else:
            errors[name] = f"{type(done).__name__}: {str(done).partition(chr(10))[0]:.200}"
    return losses, errors
