"""Computes the numbers, seeds and components of a cell from its configuration, each once.

A suite may set the period of a strategy to two epochs and its theta to 5e-5 for each parameter. The number of steps and
the value of theta then depend on the data set, the workers and the model. `ResolvedCell` computes them for all modules
that plan, estimate, train or record a cell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import Any

import torch

from fdabench.cell_config import CellConfig, ComponentConfig
from fdabench.core.codec import Layout
from fdabench.core.seeds import derive_seed
from fdabench.core.strategy import Strategy
from fdabench.datasets.base import DatasetSpec
from fdabench.engine.flatten import row_layout
from fdabench.models.base import ModelSpec, count_frozen, count_parameters
from fdabench.optimizers.base import LocalOptimizer
from fdabench.partitions.base import Partition
from fdabench.registry.build_component import CellScale, build_component, held_out_samples, to_steps
from fdabench.registry.registry import BUILT_IN, Registry

# the axes that each seed depends on; not the strategy, its theta or its optimizer, which are compared with equal seeds
SEED_AXES: Mapping[str, tuple[str, ...]] = {
    "weights": ("seed", "dataset", "model"),
    "noise": ("seed", "dataset", "model"),
    "partition": ("seed", "dataset", "partition", "workers"),
    "batches": ("seed", "dataset", "partition", "workers", "batch_size", "sampling", "last_batch"),
    "sketch": ("seed", "dataset", "model"),
}


@dataclass(frozen=True)
class ResolvedCell:
    """A configuration, resolved with the components of a registry.

    Each attribute is computed at its first use and cached. A strategy may raise an error for the numbers of a cell.
    Then only `strategy` and `numbers` raise it, so the cell can still be planned; when it is run, its record has the
    error.

    Args:
        config: of the cell, from a suite or a record.
        registry: the components that `config` names.
    """

    config: CellConfig
    registry: Registry = BUILT_IN

    @cached_property
    def dataset(self) -> DatasetSpec:
        return self.registry.datasets[self.config.dataset]

    @cached_property
    def model(self) -> ModelSpec:
        return self.registry.models[self.config.model]

    @cached_property
    def num_parameters(self) -> int:
        """Trainable parameters of the model."""
        return count_parameters(self.model, self.dataset.shape, self.dataset.classes)

    @cached_property
    def layout(self) -> Layout:
        """The tensors of the model, in the order of a row. The model is built on the meta device."""
        with torch.device("meta"):
            return row_layout(self.model.build(self.dataset.shape, self.dataset.classes))

    @cached_property
    def frozen_parameters(self) -> int:
        """Parameters that are not trained, of which all workers of a process share one copy."""
        if self.model.frozen_base is None:
            return 0
        return count_frozen(self.model, self.dataset.shape, self.dataset.classes)

    @property
    def sent_base(self) -> int:
        """Frozen parameters that each worker receives before the first step."""
        return self.frozen_parameters if self.model.frozen_base == "sent" else 0

    @cached_property
    def train_samples(self) -> int:
        """Samples that the workers learn from: the training set without the validation split, if there is one."""
        return self.dataset.train_samples - held_out_samples(self.config.eval, self.dataset.train_samples)

    @cached_property
    def steps_per_epoch(self) -> Fraction:
        """Local steps of each worker in a nominal epoch; not rounded."""
        return Fraction(self.train_samples, self.config.workers * self.config.batch_size)

    @cached_property
    def budget_steps(self) -> int:
        """Local steps of the budget. The step in which its last epoch ends counts in full, so that it is evaluated."""
        return ceil(to_steps(self.config.budget.steps, self.config.budget.epochs, self.steps_per_epoch))

    @cached_property
    def eval_period(self) -> Fraction:
        """Local steps between two evaluations."""
        return to_steps(self.config.eval.every_steps, self.config.eval.every_epochs, self.steps_per_epoch)

    @cached_property
    def seeds(self) -> Mapping[str, int]:
        """The seed of each kind of random draw, derived from its axes in `SEED_AXES`."""
        # with as many clients as workers, partition and batches are those of the workers
        table = {**self.config.to_dict(), "workers": self.config.clients}
        return {use: derive_seed(use, {axis: table[axis] for axis in axes}) for use, axes in SEED_AXES.items()}

    @cached_property
    def strategy(self) -> Strategy:
        """The strategy, built for the numbers of this cell.

        Raises:
            Exception: any error that the strategy raises for these numbers.
        """
        component: Strategy = self._build(self.registry.strategies, self.config.strategy)
        return component

    @cached_property
    def optimizer(self) -> LocalOptimizer:
        component: LocalOptimizer = self._build(self.registry.optimizers, self.config.optimizer)
        return component

    @cached_property
    def partition(self) -> Partition:
        component: Partition = self._build(self.registry.partitions, self.config.partition)
        return component

    def _build(self, classes: Mapping[str, type[Any]], component: ComponentConfig) -> Any:
        scale = CellScale(self.steps_per_epoch, self.num_parameters, self.seeds["sketch"])
        return build_component(classes[component.kind], component, scale, self.registry)

    def numbers(self) -> dict[str, int | float]:
        """Return the numbers in `cell.json`: of the model, the data and the budget, and theta and period if any.

        Raises:
            Exception: as `strategy`.
        """
        values: dict[str, int | float] = {
            "num_parameters": self.num_parameters,
            "train_samples": self.train_samples,
            "steps_per_epoch": float(self.steps_per_epoch),
            "budget_steps": self.budget_steps,
        }
        if self.model.frozen_base is not None:
            values["frozen_parameters"] = self.frozen_parameters
        # the threshold of a strategy such as GM is that of its trigger
        theta = getattr(self.strategy, "theta", getattr(getattr(self.strategy, "when", None), "theta", None))
        period = getattr(self.strategy, "period", None)
        numbers = {"theta": theta, "period": period}
        return values | {key: float(value) for key, value in numbers.items() if value is not None}
