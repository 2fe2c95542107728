"""Estimates the memory of processes in closed form, as a multiple of the size of a model.

The number of vectors of that size that a strategy or an optimizer keeps is determined with a trial model of a few
parameters.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn

from fdabench.core.strategy import HasSyncRule, HasTrafficForecast, PlannedRun
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.optimizers.base import LocalOptimizer, learning_rate
from fdabench.suite.components.use import components_used

BYTES_PER_NUMBER = 4
RUNTIME_BYTES = 400_000_000
"""The memory of a process with Python, torch and pandas, without a model: 365 to 420 MB with torch 2.13."""
_TRIAL_PARAMETERS = 8
"""The number of parameters of a trial model."""
_PROCESS_VECTORS = 5
"""Vectors of every process: the model, its gradient, the last two global models, and the drift."""


def process_bytes(cell: ResolvedCell, num_parameters: int) -> int:
    """Return the bytes of a process with one worker, without activations, data and libraries.

    Buffers of collectives are not included: collectives are assumed to sum in the network.

    Args:
        cell: the cell, with the components that it names.
        num_parameters: the number of parameters of the model, which may differ from that of the cell.
    """
    strategy = cell.strategy
    run = PlannedRun(1, num_parameters, lambda t: learning_rate(cell.optimizer, t, 1), cell.layout)
    state = strategy.forecast_traffic(run).state_size if isinstance(strategy, HasTrafficForecast) else 0
    initial = strategy.init(torch.zeros(_TRIAL_PARAMETERS))
    vectors = _PROCESS_VECTORS + optimizer_vectors(cell.optimizer)
    vectors += _vectors((initial.server, initial.correction, initial.trigger))
    vectors += len(strategy.rule.worker_state) if isinstance(strategy, HasSyncRule) else 0
    counts = (cell.registry.info(*pair).memory_vectors for pair in components_used(cell.config, cell.registry))
    # fractions, because a number of parameters may have more digits than a float can represent
    extra = sum((Fraction(vectors) for vectors in counts), Fraction())
    return BYTES_PER_NUMBER * (num_parameters * vectors + state) + int(BYTES_PER_NUMBER * num_parameters * extra)


def optimizer_vectors(local: LocalOptimizer) -> int:
    """Return the number of numbers that the local optimizer keeps for each parameter, after one step of a trial."""
    row = nn.Parameter(torch.zeros(_TRIAL_PARAMETERS))
    row.grad = torch.zeros(_TRIAL_PARAMETERS)
    optimizer = local.build([row])
    optimizer.step()
    return _vectors(dict(optimizer.state[row]))


def _vectors(value: object) -> int:
    """Return the number of numbers in all tensors of a value, divided by the parameters of the trial model."""
    return int(_numbers(value) / _TRIAL_PARAMETERS)


def _numbers(value: object) -> Fraction:
    """Return the number of numbers in the tensors of a value, without scalars, whose count is not per parameter."""
    if isinstance(value, Tensor):
        return Fraction(value.numel() if value.dim() else 0)
    if isinstance(value, Mapping):
        return sum((_numbers(item) for item in value.values()), Fraction())
    if isinstance(value, list | tuple):
        return sum((_numbers(item) for item in value), Fraction())
    if is_dataclass(value) and not isinstance(value, type):
        return sum((_numbers(getattr(value, field.name)) for field in fields(value)), Fraction())
    return Fraction()


def simulation_bytes(cell: ResolvedCell) -> int:
    """Return the bytes of a process with all workers of a cell, including libraries, without activations and data.

    All workers share the frozen parameters of the model.
    """
    base = BYTES_PER_NUMBER * cell.frozen_parameters
    return RUNTIME_BYTES + base + cell.config.workers * process_bytes(cell, cell.num_parameters)
