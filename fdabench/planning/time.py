"""Estimates the time of cells for `fdabench plan`.

The speed of a local step is that of finished cells with the same `SpeedKey`. If there are none, one worker is trained
for `CALIBRATION_S` seconds on random data.
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
    """Return the estimated wall time of cells, in seconds.

    Args:
        cells: the cells that are to be run.
        step_s: the seconds of a local step of one worker of each cell, as `step_seconds` returns them.
        jobs: the number of processes that run at the same time, each with one thread.
        registry: the registry of the components of the cells.
    """
    steps = [ResolvedCell(cell.config, registry).budget_steps * cell.config.workers for cell in cells]
    work = [float(count) * seconds for count, seconds in zip(steps, step_s, strict=True)]
    return max(sum(work) / max(1, min(jobs, len(cells))), max(work, default=0.0))


def step_seconds(cells: Sequence[Cell], store: ResultsFolder, registry: Registry = BUILT_IN) -> list[float]:
    """Return the seconds of a local step of one worker, for each cell.

    A speed of finished cells includes evaluations; one that is measured by a calibration does not.

    Args:
        cells: the cells, finished or not.
        store: the results folder, from which the speed of finished cells is read.
        registry: the registry of the components of the cells.
    """
    keys = {_speed_key(cell) for cell in cells}
    measured = _measured_speeds(cells, store)
    speeds = {key: measured[key] if key in measured else _calibrated_speed(key, registry) for key in keys}
    return [1 / speeds[_speed_key(cell)] for cell in cells]


def _speed_key(cell: Cell) -> SpeedKey:
    config = cell.config
    return SpeedKey(config.dataset, config.model, config.batch_size, config.precision)


def _measured_speeds(cells: Sequence[Cell], store: ResultsFolder) -> Mapping[SpeedKey, float]:
    """Median local steps per second, over all workers, of the cells that have a result."""
    speeds = defaultdict(list)
    for cell in cells:
        record = store.read_record(cell.id)
        if record is not None and record.has_result:
            with corruption_as_result_error(store.cell_dir(cell.id)):
                steps = record.steps * cell.config.workers * record.together
                speeds[_speed_key(cell)].append(steps / record.wall_s)
    return {key: median(values) for key, values in speeds.items()}


def _calibrated_speed(key: SpeedKey, registry: Registry) -> float:
    """Measure the local steps per second of one worker on one thread, on random data of the shape of the data set."""
    data = registry.datasets[key.dataset]
    # without pretrained weights, which may be downloaded; the speed does not depend on weights
    model = init_model(replace(registry.models[key.model], pretrained=None), data.shape, data.classes, 0)
    y = torch.zeros(key.batch_size, *(data.shape if data.task == "next-token" else ()), dtype=torch.int64)
    x = y if data.task == "next-token" else torch.rand(key.batch_size, *data.shape)
    sampler = IndependentBatchSampler(np.arange(key.batch_size), key.batch_size, numpy_generator(0))
    training = TrainingConfig(model, SGD(lr=1e-3), LabeledData(x, y), SequentialGradients, key.precision)
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
