"""Estimates the time of cells for `fdabench plan`.

The speed of a local step is taken from similar cells that are done. If there are none, one worker is trained for
`CALIBRATION_S` seconds on random data.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch

from fdabench.core.seeds import numpy_generator
from fdabench.engine.arrays import LabeledData
from fdabench.engine.gradients.sequential import SequentialGradients
from fdabench.engine.precision import Precision
from fdabench.engine.sampling import IndependentBatchSampler
from fdabench.engine.workers import TrainingConfig, WorkerGroup, Workers
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.models.base import init_model
from fdabench.optimizers.sgd import SGD
from fdabench.registry.registry import BUILT_IN, Registry
from fdabench.results.folder import ResultsFolder, corruption_as_result_error
from fdabench.suite.cell import Cell

CALIBRATION_S = 1.0


class SpeedKey(NamedTuple):
    """The settings that the speed of a local step depends on most."""

    dataset: str
    model: str
    batch_size: int
    precision: Precision


def estimated_seconds(
    cells: Sequence[Cell], step_s: Sequence[float], jobs: int, registry: Registry = BUILT_IN
) -> float:
    """Return the estimated wall time of cells.

    Args:
        cells: to be run.
        step_s: the seconds of a local step of one worker of each, as `step_seconds` returns them.
        jobs: processes that run at the same time, each with one thread.
        registry: the components that the cells name.
    """
    steps = [ResolvedCell(cell.config, registry).budget_steps * cell.config.workers for cell in cells]
    work = [float(count) * seconds for count, seconds in zip(steps, step_s, strict=True)]
    return max(sum(work) / max(1, min(jobs, len(cells))), max(work, default=0.0))


def step_seconds(cells: Sequence[Cell], store: ResultsFolder, registry: Registry = BUILT_IN) -> list[float]:
    """Return the seconds of a local step of one worker of each cell.

    A speed from cells that are done includes evaluations; one that is measured here does not.

    Args:
        cells: those whose time is estimated, and those that may be done.
        store: the results folder, from which the speed of done cells is read.
        registry: the components that the cells name.
    """
    kinds = {_speed_key(cell) for cell in cells}
    measured = _measured_speeds(cells, store)
    speeds = {kind: measured[kind] if kind in measured else _calibrated_speed(kind, registry) for kind in kinds}
    return [1 / speeds[_speed_key(cell)] for cell in cells]


def _speed_key(cell: Cell) -> SpeedKey:
    c = cell.config
    return SpeedKey(c.dataset, c.model, c.batch_size, c.precision)


def _measured_speeds(cells: Sequence[Cell], store: ResultsFolder) -> Mapping[SpeedKey, float]:
    """Median local steps per second, over all workers, of the cells that have a result."""
    speeds = defaultdict(list)
    for cell in cells:
        record = store.read_record(cell.id)
        if record is not None and record.has_result:
            with corruption_as_result_error(store.cell_dir(cell.id)):
                steps = record.steps * cell.config.workers * record.together
                speeds[_speed_key(cell)].append(steps / record.wall_s)
    return {kind: median(values) for kind, values in speeds.items()}


def _calibrated_speed(kind: SpeedKey, registry: Registry) -> float:
    """Local steps per second of one worker on one thread, measured on random data of the right shape."""
    data = registry.datasets[kind.dataset]
    # without pretrained weights, which may be downloaded; the speed does not depend on weights
    model = init_model(replace(registry.models[kind.model], pretrained=None), data.shape, data.classes, 0)
    y = torch.zeros(kind.batch_size, *(data.shape if data.task == "next-token" else ()), dtype=torch.int64)
    x = y if data.task == "next-token" else torch.rand(kind.batch_size, *data.shape)
    sampler = IndependentBatchSampler(np.arange(kind.batch_size), kind.batch_size, numpy_generator(0))
    training = TrainingConfig(model, SGD(lr=1e-3), LabeledData(x, y), SequentialGradients, kind.precision)
    worker, threads = Workers(training, [WorkerGroup(model, [sampler], [0])]), torch.get_num_threads()
    torch.set_num_threads(1)
    worker.step()
    start, steps = perf_counter(), 0
    while perf_counter() - start < CALIBRATION_S:
        worker.step()
        steps += 1
    speed = steps / (perf_counter() - start)
    torch.set_num_threads(threads)
    return speed
