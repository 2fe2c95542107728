"""What the configuration of a cell comes to: its numbers, its seeds and its components, each computed once.

A suite may say that a strategy averages every two epochs and that theta is 5e-5 for each parameter. How many steps and
which theta that is depends on the data set, the workers and the model. `ResolvedCell` computes it and is passed to
whatever plans, estimates, trains or records the cell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import Any

from fdabench.cell_config import CellConfig, ComponentConfig
from fdabench.core.seeds import derive_seed
from fdabench.core.strategy import Strategy
from fdabench.datasets.base import DatasetSpec
from fdabench.models.base import ModelSpec, count_parameters
from fdabench.optimizers.base import LocalOptimizer
from fdabench.partitions.base import Partition
from fdabench.registry.build_component import CellScale, build_component, held_out_samples, to_steps
from fdabench.registry.registry import BUILT_IN, Registry

# the axes that each draw may depend on: never the strategy, its theta or its optimizer
SEED_AXES: Mapping[str, tuple[str, ...]] = {
    "weights": ("seed", "dataset", "model"),
    "noise": ("seed", "dataset", "model"),
    "partition": ("seed", "dataset", "partition", "workers"),
    "batches": ("seed", "dataset", "partition", "workers", "batch_size", "sampling", "last_batch"),
    "sketch": ("seed", "dataset", "model"),
}


@dataclass(frozen=True)
class ResolvedCell:
    """A configuration, and what it comes to with the components of a registry.

    Each attribute is computed when it is first used, and kept. So a plan can be made of a cell whose strategy refuses
    the numbers of this cell: only `strategy` raises, and the record of the cell will say why it failed.

    Args:
        config: as the suite or a record has it.
        registry: the data sets, models and other components that the names in `config` stand for.
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
        """Trainable numbers of one worker's model."""
        return count_parameters(self.model, self.dataset.shape, self.dataset.classes)

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
        """A seed for each kind of draw, from the axes that it may depend on."""
        table = self.config.to_dict()
        return {use: derive_seed(use, {axis: table[axis] for axis in axes}) for use, axes in SEED_AXES.items()}

    @cached_property
    def strategy(self) -> Strategy:
        """
        Raises:
            Exception: whatever the strategy raises where it refuses the numbers of this cell.
        """
        found: Strategy = self._build(self.registry.strategies, self.config.strategy)
        return found

    @cached_property
    def optimizer(self) -> LocalOptimizer:
        found: LocalOptimizer = self._build(self.registry.optimizers, self.config.optimizer)
        return found

    @cached_property
    def partition(self) -> Partition:
        found: Partition = self._build(self.registry.partitions, self.config.partition)
        return found

    def _build(self, classes: Mapping[str, type[Any]], component: ComponentConfig) -> Any:
        scale = CellScale(self.steps_per_epoch, self.num_parameters, self.seeds["sketch"])
        return build_component(classes[component.kind], component, scale, self.registry)

    def numbers(self) -> dict[str, int | float]:
        """The numbers that `cell.json` keeps: of the model, the data and the budget, and theta and period if there are.

        Raises:
            Exception: as `strategy`.
        """
        found: dict[str, int | float] = {
            "num_parameters": self.num_parameters,
            "train_samples": self.train_samples,
            "steps_per_epoch": float(self.steps_per_epoch),
            "budget_steps": self.budget_steps,
        }
        return found | {
            key: float(getattr(self.strategy, key)) for key in ("theta", "period") if hasattr(self.strategy, key)
        }
